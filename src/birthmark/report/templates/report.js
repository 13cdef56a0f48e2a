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

  /* 1st, 2nd, 3rd, 4th, 11th, 1,012th. */
  function ordinal(number) {
    const teen = number % 100 > 10 && number % 100 < 14;
    return number.toLocaleString("en") + (teen ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] || "th");
  }

  /* Edits that turn one text into the other, neighbours changed for each other being one; more than `most` are not counted. */
  function edits(one, other, most) {
    if (Math.abs(one.length - other.length) > most) return most + 1;
    let before = [], row = [...Array(other.length + 1).keys()];
    for (let i = 1; i <= one.length; i++) {
      const next = [i];
      for (let j = 1; j <= other.length; j++) {
        const same = one[i - 1] === other[j - 1];
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (same ? 0 : 1));
        if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) next[j] = Math.min(next[j], before[j - 2] + 1);
      }
      if (Math.min(...next) > most) return most + 1;
      before = row; row = next;
    }
    return row[other.length];
  }

  /* What a misspelt word may have been: one edit in a short word, two in a longer one, whole words first. */
  function near(all, wanted) {
    const most = wanted.length < 5 ? 1 : 2;
    return all.keys.map((name) => ({ name, far: edits(wanted, name, most), word: all.byKey.get(name).some((hit) => hit.kind === "words") }))
      .filter((hit) => hit.far <= most)
      .sort((a, b) => a.far - b.far || b.word - a.word || a.name.localeCompare(b.name))
      .slice(0, 6).map((hit) => hit.name);
  }

  function place(column, rank, shares) {
    if (rank === null) return "–";
    const share = shareBetter(column.quantiles, shares, rank);
    const least = 1 / column.n;
    const said = share <= 0.5 ? `top ${percent(Math.max(share, least))}` : `bottom ${percent(Math.max(1 - share, least))}`;
    const dot = element("span", { class: "dot" });
    dot.style.left = `${100 * (1 - Math.log(rank) / Math.log(Math.max(column.n, 2)))}%`;
    return element("div", { class: "place" },
      element("span", { class: "rank", title: `median rank ${rank.toLocaleString("en")}` }, element("b", {}, ordinal(Math.max(1, Math.round(rank)))), ` of ${column.n.toLocaleString("en")}`),
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
    offer("Also: ", others);
    if (!hits.length) {
      const close = near(all, wanted).filter((name) => !others.includes(name));
      if (close.length && !others.length) found.append(...all.byKey.get(close[0]).map((hit) => card(all, hit)));
      offer("Did you mean: ", close);
    }
  }

  function offer(label, names) {
    if (names.length) {
      const list = element("p", { class: "others" }, label);
      names.forEach((name) => {
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

  /* No line ends between "p =" and its number. */
  document.querySelectorAll("p, li, td, summary").forEach((part) => {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (/\bp [=<>] /.test(text.data)) text.data = text.data.replace(/\bp ([=<>]) (?=[.\d])/g, "p\u00a0$1\u00a0");
    }
  });

  /* A table's heading sorts its rows by that column, downwards first for numbers; no value goes last. */
  const number = (cell) => {
    const said = cell.textContent.trim().replace(/−/g, "-").replace(/,(?=\d{3})/g, "").match(/^[<+]?\s*(-?\d*\.?\d+)/);
    return said ? Number(said[1]) : null;
  };

  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((head) => {
      const button = element("button", { type: "button", class: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const at = head.cellIndex, rows = [...table.tBodies[0].rows];
        const numeric = rows.some((row) => number(row.cells[at]) !== null);
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : numeric;
        const value = (row) => (numeric ? number(row.cells[at]) : row.cells[at].textContent.trim());
        rows.sort((a, b) => {
          const [one, other] = [value(a), value(b)];
          if (one === null || other === null) return (one === null) - (other === null);
          return (numeric ? one - other : one.localeCompare(other)) * (down ? -1 : 1);
        });
        table.tBodies[0].append(...rows);
        table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      });
    });
  });

  /* The figure that is seen, in this page's colours, as a file; nothing leaves the page. */
  function drawing(figure) {
    const seen = [...figure.querySelectorAll(".plot svg")].find((svg) => svg.getBoundingClientRect().width > 0);
    const copy = seen.cloneNode(true), style = getComputedStyle(document.documentElement);
    const box = seen.viewBox.baseVal, width = box.width || seen.clientWidth, height = box.height || seen.clientHeight;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width); copy.setAttribute("height", height);
    copy.removeAttribute("aria-hidden");
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, said] of Object.entries({ x: box.x, y: box.y, width: "100%", height: "100%", fill: "var(--paper)" })) paper.setAttribute(name, said);
    copy.prepend(paper);
    const text = new XMLSerializer().serializeToString(copy).replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    return { text, width, height };
  }

  function save(address, name) {
    const link = element("a", { href: address, download: name });
    document.body.append(link); link.click(); link.remove();
  }

  document.querySelectorAll(".saves").forEach((part) => {
    part.hidden = false;
    part.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const { text, width, height } = drawing(part.closest("figure")), name = button.dataset.name;
      const address = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
      if (button.dataset.save === "svg") { save(address, `${name}.svg`); return; }
      const image = new Image();
      image.addEventListener("load", () => {
        const canvas = element("canvas", { width: 2 * width, height: 2 * height });
        canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
        save(canvas.toDataURL("image/png"), `${name}.png`);
      });
      image.src = address;
    });
  });

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
