/* SPDX-License-Identifier: MIT
 *
 * debug_page.c: /debug/cease, the live tree as a page, and who may see it.
 *
 * The page is static; its script fetches /debug/cease.json every second and draws the tree anew. It puts
 * everything that comes from the program into the page as text, never as markup.
 */
#include "http/metrics.h"
#include "http/server.h"

#include <cease/http_debug.h>
#include <cease/snapshot.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- who may see it -------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* A name or address of this machine to itself, with or without a port. A name that only begins like an
 * address ("127.example.org") is none. */
static bool is_loopback(const char *host)
{
    size_t name = strcspn(host, ":");
    if (name == strlen("localhost") && begins(host, "localhost")) {
        return true;
    }
    return begins(host, "[::1]") || (begins(host, "127.") && strspn(host, "0123456789.") == name) ||
           begins(host, "[::ffff:127.");
}

bool ceasei_http_debug_allowed(const struct ceasei_http_metrics *m, const cease_http_request *req)
{
    const char *host = cease_http_request_header(req, "Host");
    if (m->anywhere) {
        return true;
    }
    return is_loopback(cease_http_request_peer(req)) && host && is_loopback(host) &&
           !cease_http_request_header(req, "Forwarded") &&
           !cease_http_request_header(req, "X-Forwarded-For");
}

/* ---- the page -------------------------------------------------------------------------------- */

static const char page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>cease: live tree</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:14px/1.4 system-ui,sans-serif;margin:1em}\n"
    "h1{font-size:1.2em;margin:0 0 .5em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th{text-align:left;border-bottom:1px solid}\n"
    "td{padding:.1em .8em .1em 0;vertical-align:top}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "tr.c td{opacity:.75}\n"
    "tr.ended td,tr.stuck td{color:#c22;opacity:1}\n"
    "small{opacity:.7}\n"
    "</style></head><body>\n"
    "<h1>What runs now</h1>\n"
    "<p><span id=\"sum\">loading</span>\n"
    "<label>Filter <input id=\"filter\" size=\"20\"></label>\n"
    "<button id=\"pause\">Pause</button>\n"
    "<a href=\"/debug/cease.json\">JSON</a> <a href=\"/metrics\">Metrics</a></p>\n"
    "<noscript>This page needs JavaScript; the link JSON has the same.</noscript>\n"
    "<table><thead><tr><th>Context or task<th>waits for, or why it ended"
    "<th>for<th>time left</tr></thead><tbody id=\"tree\"></tbody></table>\n"
    "<script>\n"
    "'use strict';\n"
    "const $=id=>document.getElementById(id);\n"
    "let paused=false,last=null;\n"
    "function span(ns){if(ns===null||ns===undefined)return '';\n"
    " const s=ns/1e9;if(s<0)return 'over';\n"
    " return s>=3600?(s/3600).toFixed(1)+' h':s>=120?(s/60).toFixed(1)+' min':\n"
    "  s>=1?s.toFixed(1)+' s':(ns/1e6).toFixed(0)+' ms'}\n"
    "function place(p){return p?p.function+'  '+p.file.replace(/^.*\\//,'')+':'+p.line:''}\n"
    "function row(kind,depth,name,small,what,since,left){\n"
    " const tr=document.createElement('tr');tr.className=kind;\n"
    " const first=tr.insertCell();first.style.paddingLeft=Math.min(depth,20)*1.2+'em';\n"
    " first.append(name+' ');const s=document.createElement('small');s.textContent=small;\n"
    " first.append(s);tr.insertCell().textContent=what;\n"
    " for(const n of [since,left]){const c=tr.insertCell();c.className='n';c.textContent=span(n)}\n"
    " return tr}\n"
    "function task(t,depth,left){\n"
    " const what=t.state==='waiting'?'waits '+t.for:t.state==='ready'?'waits for its turn':\n"
    "  t.state==='running'?'RUNS and does not park':\n"
    "  t.state==='unknown'?'its worker does not answer':'not begun';\n"
    " const r=row(t.state==='running'||t.state==='unknown'?'t stuck':'t',depth,\n"
    "  'task '+(t.id||'-')+(t.function?' '+t.function:''),place(t.started),what,t.since_ns,left);\n"
    " r.dataset.task=t.id;return r}\n"
    "function draw(tree){\n"
    " const children=new Map(),tasks=new Map(),roots=[],rows=[];\n"
    " const add=(map,key,value)=>{if(!map.has(key))map.set(key,[]);map.get(key).push(value)};\n"
    " for(const c of tree.contexts)c.parent===null?roots.push(c):add(children,c.parent,c);\n"
    " for(const t of tree.tasks)add(tasks,t.context,t);\n"
    " const stack=roots.reverse().map(c=>[c,0]);\n"
    " while(stack.length){\n"
    "  const [c,depth]=stack.pop();\n"
    "  rows.push(row(c.cause?'c ended':'c',depth,c.kind+(c.key?' '+c.key:''),place(c.made),\n"
    "   c.cause?'ended: '+c.cause.text:'',null,c.left_ns));\n"
    "  for(const t of (tasks.get(c.id)||[]).sort((a,b)=>(b.since_ns||0)-(a.since_ns||0)))\n"
    "   rows.push(task(t,depth+1,c.left_ns));\n"
    "  for(const k of (children.get(c.id)||[]).reverse())stack.push([k,depth+1])}\n"
    " for(const t of tasks.get(null)||[])rows.push(task(t,0,null));\n"
    " const wanted=$('filter').value.toLowerCase();\n"
    " const shown=rows.filter(r=>r.textContent.toLowerCase().includes(wanted)).slice(0,2000);\n"
    " $('tree').replaceChildren(...shown);\n"
    " $('sum').textContent=tree.tasks.length+' tasks, '+tree.contexts.length+' contexts, '+\n"
    "  tree.workers+' workers'+(shown.length<rows.length?', '+shown.length+' rows shown':'')}\n"
    "async function update(){\n"
    " if(!paused&&!document.hidden)try{\n"
    "  const reply=await fetch('/debug/cease.json',{cache:'no-store'});\n"
    "  if(!reply.ok)throw new Error('status '+reply.status);\n"
    "  last=await reply.json();if(!paused)draw(last)\n"
    " }catch(e){$('sum').textContent='no answer: '+e.message+' (what is below is old)'}\n"
    " setTimeout(update,1000)}\n"
    "$('pause').onclick=()=>{paused=!paused;$('pause').textContent=paused?'Go on':'Pause'};\n"
    "$('filter').oninput=()=>{if(last)draw(last)};\n"
    "update();\n"
    "</script></body></html>\n";

static cease_error headers(cease_http_response *res, const char *type)
{
    cease_error e = cease_http_response_header(res, "Content-Type", type);
    if (e == CEASE_OK) {
        e = cease_http_response_header(res, "Cache-Control", "no-store");
    }
    if (e == CEASE_OK) {
        e = cease_http_response_header(res, "X-Content-Type-Options", "nosniff");
    }
    return e;
}

cease_error ceasei_http_debug_page_serve(cease_ctx *ctx, cease_http_request *req,
                                         cease_http_response *res, void *arg)
{
    const cease_http_server *s = arg;
    if (!ceasei_http_debug_allowed(&s->metrics, req)) {
        return cease_http_response_status(res, 404);
    }
    cease_error e = headers(res, "text/html; charset=utf-8");
    if (e == CEASE_OK) {
        e = cease_http_response_header(res, "Content-Security-Policy",
                                       "default-src 'none'; script-src 'unsafe-inline'; "
                                       "style-src 'unsafe-inline'; connect-src 'self'; "
                                       "frame-ancestors 'none'");
    }
    return e == CEASE_OK ? cease_http_response_write(ctx, res, page, sizeof page - 1) : e;
}

cease_error ceasei_http_debug_json_serve(cease_ctx *ctx, cease_http_request *req,
                                         cease_http_response *res, void *arg)
{
    const cease_http_server *s = arg;
    char *text;
    size_t size;
    if (!ceasei_http_debug_allowed(&s->metrics, req)) {
        return cease_http_response_status(res, 404);
    }
    cease_error e = headers(res, "application/json");
    if (e == CEASE_OK) {
        e = cease_snapshot_json(&text, &size);
    }
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, text, size);
        free(text);
    }
    return e;
}

cease_error cease_http_server_debug(cease_http_server *s, const cease_http_debug_opts *opts)
{
    cease_http_debug_opts o = {0};
    if (!s) {
        return CEASE_ENOMEM;
    }
    if (opts) {
        memcpy(&o, opts, opts->size && opts->size < sizeof o ? opts->size : sizeof o);
    }
    cease_error e = cease_http_server_route(s, "GET", "/metrics", ceasei_http_metrics_serve, s);
    if (e == CEASE_OK) {
        e = cease_http_server_route(s, "GET", "/debug/cease", ceasei_http_debug_page_serve, s);
    }
    if (e == CEASE_OK) {
        e = cease_http_server_route(s, "GET", "/debug/cease.json", ceasei_http_debug_json_serve, s);
    }
    if (e == CEASE_OK) {
        s->metrics.anywhere = o.anywhere;
    }
    return e;
}
