/* SPDX-License-Identifier: MIT
 *
 * md5.h: MD5 (RFC 1321) for the examples, so that their output can be compared with md5sum's.
 */
#ifndef EXAMPLES_MD5_H
#define EXAMPLES_MD5_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct md5 {
    uint32_t state[4];
    uint64_t size; /* bytes so far */
    unsigned char block[64];
};

static inline void md5_init(struct md5 *m)
{
    *m = (struct md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

static inline void md5_block(struct md5 *m, const unsigned char *p)
{
    /* floor(2^32 * abs(sin(i + 1))), and the rotations of each round */
    static const uint32_t sines[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
        0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
        0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
        0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
        0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
        0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
        0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
        0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
        0xeb86d391};
    static const unsigned char turns[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    static const unsigned char steps[4][2] = {{1, 0}, {5, 1}, {3, 5}, {7, 0}};
    uint32_t word[16], a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3];
    for (unsigned i = 0; i < 16; i++) {
        word[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
                  (uint32_t)p[4 * i + 3] << 24;
    }
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16, turn = turns[round][i % 4];
        uint32_t f = round == 0   ? (b & c) | (~b & d)
                     : round == 1 ? (d & b) | (~d & c)
                     : round == 2 ? b ^ c ^ d
                                  : c ^ (b | ~d);
        f += a + sines[i] + word[(steps[round][0] * i + steps[round][1]) % 16];
        a = d;
        d = c;
        c = b;
        b += f << turn | f >> (32 - turn);
    }
    m->state[0] += a;
    m->state[1] += b;
    m->state[2] += c;
    m->state[3] += d;
}

static inline void md5_add(struct md5 *m, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) {
        m->block[m->size++ % 64] = p[i];
        if (m->size % 64 == 0) {
            md5_block(m, m->block);
        }
    }
}

/* Writes 32 digits and a 0. */
static inline void md5_finish(struct md5 *m, char ret_text[33])
{
    uint64_t bits = m->size * 8;
    md5_add(m, "\x80", 1);
    while (m->size % 64 != 56) {
        md5_add(m, "", 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned char byte = (unsigned char)(bits >> (8 * i));
        md5_add(m, &byte, 1);
    }
    for (unsigned i = 0; i < 16; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", m->state[i / 4] >> (8 * (i % 4)) & 0xff);
    }
}

#endif
