// The page works without this. With it a search is fetched, so that Stop can end it: aborting the fetch closes the
// connection, and the server then stops everything that works for it.
"use strict";
(() => {
  const form = document.getElementById("ask");
  const [q, timeout, go, stop] = ["q", "timeout", "go", "stop"].map((id) => document.getElementById(id));
  const main = document.getElementById("main");
  const indexing = document.getElementById("indexing");
  const units = { ns: 1e-6, us: 1e-3, "µs": 1e-3, "μs": 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 };
  let running = null;

  const milliseconds = (text) => {
    let sum = 0;
    for (const [, n, unit] of text.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) sum += n * units[unit];
    const limit = Number(timeout.dataset.limit);
    return Math.min(sum || limit, limit);
  };

  const busy = (on) => {
    document.body.classList.toggle("busy", on);
    main.setAttribute("aria-busy", on);
    stop.hidden = !on;
    go.hidden = on;
  };

  const note = (text) => {
    const p = document.createElement("p");
    p.className = "note";
    p.setAttribute("role", "alert");
    p.textContent = text;
    main.querySelector(".bars.running")?.remove();
    main.prepend(p);
  };

  // Bars that run as long as the search may take.
  const bars = (ms) => {
    main.querySelectorAll(".bars, .note, .wrong").forEach((e) => e.remove());
    const list = document.createElement("ul");
    list.className = "bars running";
    for (const name of form.dataset.backends.split("\n")) {
      list.insertAdjacentHTML("beforeend",
        '<li><b></b><svg viewBox="0 0 100 1" preserveAspectRatio="none"><rect width="100" height="1"/></svg><span>searching</span>');
      list.lastElementChild.firstElementChild.textContent = name;
    }
    main.prepend(list);
    for (const rect of list.querySelectorAll("rect")) rect.style.animationDuration = ms + "ms";
  };

  const show = async (url, push) => {
    running?.abort();
    const mine = (running = new AbortController());
    const begin = performance.now();
    busy(true);
    bars(milliseconds(timeout.value));
    try {
      const reply = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      main.replaceChildren(...page.getElementById("main").childNodes);
      document.title = page.title;
      document.body.className = page.body.className;
      if (push) history.pushState(null, "", url);
    } catch (e) {
      if (mine !== running) return; // a newer search has taken over
      const after = Math.round(performance.now() - begin);
      note(e.name === "AbortError" ? `Stopped after ${after} ms. The server has stopped, too.` : "The server did not answer.");
    } finally {
      if (mine === running) {
        running = null;
        busy(false);
      }
    }
  };

  const address = () => {
    const ask = new URLSearchParams({ q: q.value });
    if (timeout.value.trim()) ask.set("timeout", timeout.value.trim());
    return "/search?" + ask;
  };

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    show(address(), true);
  });
  stop.addEventListener("click", () => running?.abort());
  addEventListener("popstate", () => {
    const ask = new URLSearchParams(location.search);
    if (location.pathname !== "/search") return location.reload();
    q.value = ask.get("q") ?? "";
    timeout.value = ask.get("timeout") ?? "";
    show(location.href, false);
  });
  addEventListener("keydown", (e) => {
    if (e.key === "Escape" && running) running.abort();
    if (e.key === "/" && !/^(INPUT|TEXTAREA)$/.test(e.target.tagName) && !e.ctrlKey && !e.metaKey) {
      e.preventDefault();
      q.focus();
      q.select();
    }
  });

  // While the index fills: how far it is.
  const follow = async () => {
    let filling = false;
    try {
      const status = await (await fetch("/healthz")).json();
      for (const label of indexing.querySelectorAll("label")) {
        const s = status.index[label.dataset.index];
        filling ||= s.state === "filling" || s.state === "looking";
        label.querySelector("progress").max = s.total || 1;
        label.querySelector("progress").value = s.done;
        label.querySelector("output").textContent = `${s.done} of ${s.total}`;
      }
      indexing.hidden = !filling;
    } catch {
      filling = true; // try again: the server may be starting anew
    }
    if (filling) setTimeout(follow, 1000);
  };
  if (!indexing.hidden) follow();
})();
