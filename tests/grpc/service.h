/* service.h: the methods that the tests call, ours and those of other implementations. */
#ifndef CEASE_TESTS_GRPC_SERVICE_H
#define CEASE_TESTS_GRPC_SERVICE_H

#include <cease/grpc.h>

/* Adds them to a server:
 *
 *     /test.Echo/Unary      gives the message back; metadata "say" and "data-bin" come back as header
 *                           fields, and as trailers named "t-say" and "t-data-bin"
 *     /test.Echo/Fail       status FAILED_PRECONDITION, text "no: <the message>"
 *     /test.Echo/Collect    takes many, gives one: all of them joined
 *     /test.Echo/Repeat     takes "N text", gives text N times
 *     /test.Echo/Chat       gives each message back as it comes
 *     /test.Echo/Wait       waits for the end of its context
 */
cease_error service_add(cease_http_server *s);

#endif
