"use strict";
(() => {
  const framed = { positive: "asked for the best", negative: "asked for the worst", null: "asked neither way" };
  const box = document.getElementById("word");
  const found = document.getElementById("found");
  let index = null;

  const key = (text) => text.trim().toLowerCase();

  function load() {
    if (index) return index;
    const data = JSON.parse(document.getElementById("search-data").textContent);
    const byKey = new Map();
    for (const kind of ["words", "tokens"]) {
      data[kind].texts.forEach((text, at) => {
        const name = key(text);
        if (!byKey.has(name)) byKey.set(name, []);
        byKey.get(name).push({ kind, at, text });
      });
    }
    index = { data, byKey, keys: [...byKey.keys()].filter(Boolean).sort() };
    return index;
  }

  /* The share of candidates with a better median rank: the first quantile that is not below this rank. */
  function shareBetter(quantiles, shares, rank) {
    let low = 0, high = quantiles.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (quantiles[middle] < rank) low = middle + 1; else high = middle;
    }
    return shares[low];
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    made.append(...children);
    return made;
  }

  /* As on the rest of the page: what cannot be seen by its code point, a long text cut. */
  const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u, longest = 48;

  function shown(whole) {
    const letters = [...whole];
    const text = letters.length > longest ? letters.slice(0, longest - 1).join("") + "…" : whole;
    const made = element("bdi", { class: "token" });
    const marks = { " ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };
    const inner = text.length - text.trimEnd().length;
    [...text].forEach((character, at, all) => {
      const edge = at < text.length - text.trimStart().length || at >= all.length - inner;
      if (marks[character] && (edge || character !== " ")) made.append(element("span", { class: "mark" }, marks[character]));
      else if (unseen.test(character) && !(at && /[\u200c\u200d]/.test(character))) made.append(element("span", { class: "mark" }, `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
      else made.append(character);
    });
    return made;
  }

  /* Whole percents, and below ten of them one digit that counts. */
  const percent = (share) => `${share < 0.095 ? Number((100 * Math.max(share, 0.0001)).toPrecision(1)) : Math.round(100 * share)}%`;

  function place(column, rank, shares) {
    if (rank === null) return "–";
    const share = shareBetter(column.quantiles, shares, rank);
    const least = 1 / column.n;
    const said = share <= 0.5 ? `top ${percent(Math.max(share, least))}` : `bottom ${percent(Math.max(1 - share, least))}`;
    const dot = element("span", { class: "dot" });
    dot.style.left = `${100 * (1 - Math.log(rank) / Math.log(Math.max(column.n, 2)))}%`;
    return element("div", { class: "place" },
      element("span", { class: "rank" }, element("b", {}, rank.toLocaleString("en")), ` of ${column.n.toLocaleString("en")}`),
      element("span", { class: "track", "aria-hidden": "true" }, dot),
      element("span", { class: "share" }, said));
  }

  const sorts = { words: "as a word, among the words", tokens: "as this very token, among the vocabulary" };

  function card({ data }, { kind, at, text }) {
    const { columns, ranks } = data[kind];
    const models = [...new Set(columns.map((column) => column.model))];
    const framings = [...new Set(columns.map((column) => column.framing))];
    const head = element("tr", { role: "row" }, element("td", { role: "cell" }));
    framings.forEach((framing) => head.append(element("th", { scope: "col", role: "columnheader" }, framed[framing])));
    const body = element("tbody", { role: "rowgroup" });
    models.forEach((model) => {
      const row = element("tr", { role: "row" }, element("th", { scope: "row", role: "rowheader" }, model));
      framings.forEach((framing) => {
        const number = columns.findIndex((column) => column.model === model && column.framing === framing);
        row.append(element("td", { role: "cell", "data-framing": framed[framing] }, number < 0 ? "–" : place(columns[number], ranks[number][at], data.shares)));
      });
      body.append(row);
    });
    const caption = element("caption", {}, shown(text), sorts[kind]);
    /* Roles are spelled out since the style sheet lays rows out as grids on a phone. */
    return element("div", { class: framings.length > 2 ? "hit many" : "hit" }, element("table", { role: "table" }, caption, element("thead", { role: "rowgroup" }, head), body));
  }

  function look() {
    const typed = box.value;
    const wanted = key(typed);
    found.replaceChildren();
    if (!wanted) return;
    const all = load();
    const hits = [...(all.byKey.get(wanted) || [])];
    hits.sort((one, two) => (two.text === typed) - (one.text === typed));
    if (hits.length) found.append(...hits.map((hit) => card(all, hit)));
    else found.append(element("p", { class: "missing" }, "“", shown(typed.trim()), "” is not among the words and shared tokens here."));
    const others = all.keys.filter((name) => name.startsWith(wanted) && name !== wanted).slice(0, 12);
    if (others.length) {
      const list = element("p", { class: "others" }, "Also: ");
      others.forEach((name) => {
        const button = element("button", { type: "button" }, shown(name));
        button.addEventListener("click", () => { box.value = name; look(); box.focus(); });
        list.append(button, " ");
      });
      found.append(list);
    }
  }

  if (box) {  // a comparison of tables that lie elsewhere has nothing to look up
    box.form.addEventListener("submit", (event) => event.preventDefault());
    const examples = box.form.querySelector(".try");
    document.getElementById("needs-script").remove();
    examples.hidden = false;
    examples.addEventListener("click", (event) => {
      if (event.target.dataset.word) { box.value = event.target.dataset.word; look(); }
    });
    let waiting = 0;
    box.addEventListener("focus", load, { once: true });
    box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 60); });
  }

  /* Figures are drawn as plain SVG; the drawing library takes over once one is looked at, for its tooltips. */
  let library = null;
  function vega() {
    library ??= new Promise((done) => {
      const script = document.createElement("script");
      script.textContent = document.getElementById("vega").textContent;
      document.head.append(script);
      done(window.vegaEmbed);
    });
    return library;
  }

  async function enliven(plot) {
    const embed = await vega();
    const specs = JSON.parse(document.getElementById(`${plot.dataset.figure}-spec`).textContent);
    const live = document.createElement("div");
    await embed(live, { ...specs[plot.dataset.width], datasets: specs.datasets }, { renderer: "svg", actions: false, tooltip: { disableDefaultStyle: true } });
    live.setAttribute("aria-hidden", "true");
    plot.replaceChildren(live);
    plot.dataset.live = "";
  }

  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      watcher.unobserve(entry.target);
      idle(() => enliven(entry.target));
    });
  });
  document.querySelectorAll(".plot").forEach((plot) => watcher.observe(plot));
})();
