/* served.h: a server that says "hello", for the examples of the HTTP client. */
#ifndef CEASE_EXAMPLES_SERVED_H
#define CEASE_EXAMPLES_SERVED_H

const char *served_start(void); /* its URL */
void served_stop(void);
const char *served_baggage(void); /* of the last request */

#endif
