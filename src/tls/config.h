/* SPDX-License-Identifier: MIT
 *
 * config.h: what a TLS configuration is made of, for config.c and tls.c.
 */
#ifndef CEASE_TLS_CONFIG_H
#define CEASE_TLS_CONFIG_H

#include <cease/tls.h>

#include <openssl/ssl.h>
#include <stdint.h>

struct cease_tls_config {
    uint32_t shares; /* atomic; connections have one each */
    SSL_CTX *ctx;    /* set at birth, as all below */
    /* The protocols as RFC 7301 has them on the wire, each name behind a byte with its length; and in
     * the same memory behind that, at the same offsets, each name with a NUL behind it. */
    unsigned char *alpn;
    unsigned alpn_size; /* of one of the two */
};

/* The text of a protocol that is on the configuration's list; NULL for another. */
const char *ceasei_tls_alpn_text(const cease_tls_config *config, const unsigned char *name,
                                 unsigned size);

#endif
