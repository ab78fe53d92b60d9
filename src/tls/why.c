/* SPDX-License-Identifier: MIT
 *
 * why.c: what went wrong, in words that say what to do about it.
 *
 * OpenSSL says that a name does not match; who has to mend that wants to know which names would. So the
 * certificate is asked while OpenSSL still has it in hand. The first failure of a connection stays:
 * what comes after is its consequence.
 */
#include "tls/tls.h"

#include "base/atomic.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

enum { ALERT_OFFSET = SSL_AD_REASON_OFFSET, TEXT_SIZE = sizeof(((cease_tls *)0)->why) };

void ceasei_tls_fail(cease_tls *t, const char *text)
{
    if (!t->has_why) {
        snprintf(t->why, sizeof t->why, "%s", text);
        ceasei_store(&t->has_why, 1, RELEASE);
    }
}

/* OpenSSL 3.0 has no words for those that came with TLS 1.3. */
static const char *alert_text(int alert)
{
    switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "certificate required";
    case SSL_AD_MISSING_EXTENSION:
        return "missing extension";
    default:
        return SSL_alert_desc_string_long(alert);
    }
}

void ceasei_tls_complain(cease_tls *t)
{
    char text[TEXT_SIZE] = "TLS protocol error";
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    long verified = SSL_get_verify_result(t->ssl);
    if (verified != X509_V_OK) {
        snprintf(text, sizeof text, "certificate: %s", X509_verify_cert_error_string(verified));
    } else if (code != 0 && reason >= ALERT_OFFSET && reason < ALERT_OFFSET + 256) {
        snprintf(text, sizeof text, "the peer says: %s", alert_text(reason - ALERT_OFFSET));
    } else if (code != 0 && ERR_reason_error_string(code)) {
        snprintf(text, sizeof text, "%s", ERR_reason_error_string(code));
    }
    ERR_clear_error();
    ceasei_tls_fail(t, text);
}

/* ---- certificates -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + used, size - used, format, list);
    va_end(list);
}

static void add_name(char *text, size_t size, const GENERAL_NAME *name, const char *comma)
{
    char address[INET6_ADDRSTRLEN] = "";
    if (name->type == GEN_DNS) {
        add(text, size, "%s%.*s", comma, ASN1_STRING_length(name->d.dNSName),
            (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
        if (inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), address, sizeof address)) {
            add(text, size, "%s%s", comma, address);
        }
    }
}

/* Whom it is for. */
static void add_names(char *text, size_t size, const X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0;
    add(text, size, ": it is for ");
    for (int i = 0; i < count; i++) {
        add_name(text, size, sk_GENERAL_NAME_value(names, i), i > 0 ? ", " : "");
    }
    if (count == 0) {
        add(text, size, "nobody (it has no subjectAltName)");
    }
    GENERAL_NAMES_free(names);
}

static void add_time(char *text, size_t size, const char *words, const ASN1_TIME *time)
{
    struct tm tm = {0};
    char at[40] = "";
    if (time && ASN1_TIME_to_tm(time, &tm) == 1 &&
        strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S UTC", &tm) > 0) {
        add(text, size, ": %s %s", words, at);
    }
}

static void add_issuer(char *text, size_t size, const X509 *x)
{
    char name[128] = "";
    X509_NAME_oneline(X509_get_issuer_name(x), name, sizeof name);
    add(text, size, ": it was issued by %s", name);
}

static void describe(char *text, size_t size, int error, const X509 *x)
{
    snprintf(text, size, "certificate: %s", X509_verify_cert_error_string(error));
    if (!x) {
        return;
    }
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        add_names(text, size, x);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        add_time(text, size, "it was valid until", X509_get0_notAfter(x));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        add_time(text, size, "it is valid from", X509_get0_notBefore(x));
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        add_issuer(text, size, x);
        break;
    default:
        break;
    }
}

/* Inside a handshake, so under lock. */
int ceasei_tls_on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    char text[TEXT_SIZE];
    if (!ok) {
        describe(text, sizeof text, X509_STORE_CTX_get_error(store),
                 X509_STORE_CTX_get_current_cert(store));
        ceasei_tls_fail(SSL_get_app_data(ssl), text);
    }
    return ok;
}
