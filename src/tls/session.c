/* SPDX-License-Identifier: MIT
 *
 * session.c: what a client remembers of its servers, so that the next handshake is shorter.
 *
 * A ticket of TLS 1.3 is used once (RFC 8446, appendix C.4: otherwise connections could be told to belong
 * together), a session of TLS 1.2 as often as the server likes. Sessions are kept by the name that was
 * verified, because a session that is taken up again is not verified again.
 */
#include "tls/config.h"

#include <stdlib.h>
#include <string.h>

/* Under lock: takes one out of the list. */
static void forget(cease_tls_config *config, int at)
{
    struct ceasei_tls_session *s = &config->sessions[at];
    free(s->host);
    config->session_count--;
    memmove(s, s + 1, (size_t)(config->session_count - at) * sizeof *s);
}

bool ceasei_tls_session_put(cease_tls_config *config, const char *host, SSL_SESSION *session)
{
    char *copy = SSL_SESSION_is_resumable(session) ? strdup(host) : NULL;
    if (!copy) {
        return false;
    }
    pthread_mutex_lock(&config->lock);
    if (config->session_count == CEASEI_TLS_SESSIONS_MAX) {
        SSL_SESSION_free(config->sessions[0].session);
        forget(config, 0);
    }
    config->sessions[config->session_count++] = (struct ceasei_tls_session){copy, session};
    pthread_mutex_unlock(&config->lock);
    return true;
}

SSL_SESSION *ceasei_tls_session_take(cease_tls_config *config, const char *host)
{
    SSL_SESSION *found = NULL;
    pthread_mutex_lock(&config->lock);
    for (int i = config->session_count - 1; i >= 0 && !found; i--) {
        if (strcmp(config->sessions[i].host, host) == 0) {
            found = config->sessions[i].session;
            if (SSL_SESSION_get_protocol_version(found) >= TLS1_3_VERSION) {
                forget(config, i);
            } else {
                SSL_SESSION_up_ref(found);
            }
        }
    }
    pthread_mutex_unlock(&config->lock);
    return found;
}

void ceasei_tls_sessions_drop(cease_tls_config *config)
{
    while (config->session_count > 0) {
        SSL_SESSION_free(config->sessions[config->session_count - 1].session);
        forget(config, config->session_count - 1);
    }
}
