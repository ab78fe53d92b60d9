// SPDX-License-Identifier: MIT
//
// stop_token.cc: C++20's std::stop_token, asked what ctx.c asks of contexts. It has no tree, no
// deadline and no cause: ctx_cancel registers with a parent by a callback, as a tree would have to.
#include "bench.h"

#include <optional>
#include <stop_token>
#include <vector>

namespace {

std::stop_source &parent()
{
    static std::stop_source source;
    return source;
}

void cancel_child(uint64_t n)
{
    std::stop_token up = parent().get_token();
    while (n-- > 0) {
        std::stop_source child;
        std::stop_callback link(up, [&child] { child.request_stop(); });
        child.request_stop();
        BENCH_KEEP(&child);
    }
}

void done_open(uint64_t n)
{
    std::stop_token token = parent().get_token();
    while (n-- > 0) {
        bool done = token.stop_requested();
        BENCH_KEEP(done);
    }
}

void done_cancelled(uint64_t n)
{
    std::stop_source source;
    source.request_stop();
    std::stop_token token = source.get_token();
    while (n-- > 0) {
        bool done = token.stop_requested();
        BENCH_KEEP(done);
    }
}

void watch(uint64_t n)
{
    std::stop_token token = parent().get_token();
    while (n-- > 0) {
        std::stop_callback callback(token, [] {});
        BENCH_KEEP(&callback);
    }
}

// A chain of sources: each stops when the parent's callback says so. The callback removes itself,
// as it may; else libstdc++ makes a system call after each, to wake whoever waits for its end.
struct link {
    std::stop_source source;
    struct stop {
        link *self;
        void operator()() const
        {
            link *own = self; // *this goes with the callback
            own->callback.reset();
            own->source.request_stop();
        }
    };
    std::optional<std::stop_callback<stop>> callback;
};

double fan_out(size_t count, int rounds)
{
    int64_t took = 0;
    for (int round = 0; round < rounds; round++) {
        std::stop_source up;
        std::vector<link> links(count);
        for (auto &one : links)
            one.callback.emplace(up.get_token(), link::stop{&one});
        int64_t from = bench_now_ns();
        up.request_stop();
        took += bench_now_ns() - from;
        bench_need(links[0].source.stop_requested(), "every link to be stopped");
    }
    return static_cast<double>(took) / rounds / static_cast<double>(count);
}

double fan_out_1k()
{
    fan_out(1000, 10);
    return fan_out(1000, 200);
}

double fan_out_1m()
{
    return fan_out(1000000, 3);
}

double bytes()
{
    constexpr size_t count = 1000000;
    struct child {
        std::stop_source source;
        std::optional<std::stop_callback<void (*)()>> link;
    };
    std::stop_token up = parent().get_token();
    double before = bench_resident();
    auto *children = new std::vector<child *>(count);
    for (auto &c : *children) {
        c = new child;
        c->link.emplace(
            up, +[] {});
    }
    return (bench_resident() - before) / static_cast<double>(count);
}

} // namespace

BENCH(ctx_cancel, cancel_child, "A stop_source linked to a parent by a callback, stopped, dropped?")
BENCH(ctx_done_open, done_open, "stop_requested() of an open token?")
BENCH(ctx_done_cancelled, done_cancelled, "stop_requested() of a stopped token?")
BENCH(ctx_watch, watch, "A stop_callback made and destroyed?")
BENCH_VALUE(ctx_fanout_1k, fan_out_1k, "ns",
            "A stop_source with 1,000 linked by callbacks: by child?")
BENCH_VALUE(ctx_fanout_1m, fan_out_1m, "ns", "With a million linked by callbacks: by child?")
BENCH_VALUE(ctx_bytes, bytes, "bytes", "Resident memory by live child, a million of them?")
