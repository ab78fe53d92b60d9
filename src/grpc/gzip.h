/* SPDX-License-Identifier: MIT
 *
 * gzip.h: whole messages in and out of gzip.
 */
#ifndef CEASE_GRPC_GZIP_H
#define CEASE_GRPC_GZIP_H

#include <cease/error.h>
#include <stddef.h>

/* Memory that grows; its owner frees it. */
struct ceasei_grpc_bytes {
    char *data;
    size_t size, room;
};

/* Packs or unpacks into `ret`, whose former contents are replaced; unpacked, a NUL follows them.
 * CEASE_EMSGSIZE: it would be more than `max`. CEASE_EPROTO: this is no gzip, or not the whole of it. */
cease_error ceasei_grpc_gzip(const void *data, size_t size, struct ceasei_grpc_bytes *ret);
cease_error ceasei_grpc_gunzip(const void *data, size_t size, size_t max,
                               struct ceasei_grpc_bytes *ret);

#endif
