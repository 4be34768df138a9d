"use strict";
// Tables are sorted and filtered, and what is folded is opened. All of it is there to read without this script.
// Plain: of the libraries, DataTables with what it needs is 620 kB of script and 107 kB of style a page (in itables 2.9),
// and shows ten rows at a time; this is a few kB, leaves the tables as they are, and is all that the pages need.
(() => {
  const missing = /^[\s–-]*$/;
  const text = (cell) => (cell ? cell.dataset.value ?? cell.textContent : "").trim();
  const number = (said) => Number((/-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/i.exec(said) || ["0"])[0].replaceAll(",", ""));
  // W2 before W10, and large and small letters alike. An Intl.Collator says the same in ten times the time.
  const word = (said) => said.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
  const make = (tag, fields) => Object.assign(document.createElement(tag), fields);

  // Rows are sorted within their body: a body is of one protocol, and numbers of two are in no order.
  function sort(table, head, column) {
    const down = head.getAttribute("aria-sort") === "ascending";
    const numbers = head.classList.contains("n");
    const compare = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
    for (const other of table.tHead.rows[0].cells) if (other.ariaSort) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    for (const body of [...table.tBodies]) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const known = [], unknown = [];
      for (const row of rows) {
        const said = text(row.cells[column]);
        if (missing.test(said)) unknown.push(row);
        else known.push({ row, key: numbers ? number(said) : word(said) });
      }
      known.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
      // Rows are moved while their body is out of the page, which is laid out once and not once a row.
      const next = body.nextSibling;
      body.remove();
      for (const { row } of known) body.append(row);
      for (const row of unknown) body.append(row); // what has no value stays last
      table.insertBefore(body, next);
    }
  }

  function sortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim() || head.colSpan > 1) return;
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  // Every word has to be in the row, or in the head of its group.
  function filterable(table) {
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
    const label = make("label", { textContent: table.dataset.filter + " " });
    const left = make("output", {});
    const groups = [...table.tBodies].map((body) => {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const group = body.querySelector("tr.group")?.textContent.toLowerCase() ?? "";
      return { body, rows: rows.map((row) => ({ row, words: `${row.textContent} ${group}`.toLowerCase() })) };
    });
    const all = groups.reduce((sum, group) => sum + group.rows.length, 0);
    const show = () => {
      const asked = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const { body, rows } of groups) {
        let kept = 0;
        for (const { row, words } of rows) {
          const fits = asked.every((word) => words.includes(word));
          if (row.hidden === fits) row.hidden = !fits;
          kept += fits;
        }
        body.hidden = rows.length > 0 && !kept;
        count += kept;
      }
      left.textContent = asked.length ? `${count} of ${all} rows` : `${all} rows`;
    };
    input.addEventListener("input", show);
    left.setAttribute("aria-live", "polite");
    label.append(input);
    const bar = make("p", { className: "filter" });
    bar.append(label, left);
    (table.closest(".scroll") ?? table).before(bar);
    show();
  }

  // A button that unfolds everything in a part of the page, and folds it again.
  function unfoldable(part) {
    const folds = [...part.querySelectorAll(":scope > details")];
    if (folds.length < 2) return;
    const button = make("button", { type: "button" });
    const say = () => {
      button.textContent = folds.every((fold) => fold.open) ? "Fold all" : `Unfold all ${folds.length}`;
    };
    button.addEventListener("click", () => {
      const open = !folds.every((fold) => fold.open);
      for (const fold of folds) fold.open = open;
      say();
    });
    for (const fold of folds) fold.addEventListener("toggle", say);
    say();
    const bar = make("p", { className: "tools" });
    bar.append(button);
    part.prepend(bar);
  }

  // What a link leads to is opened, with all that it is folded into.
  function reveal() {
    let name = "";
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = name && document.getElementById(name);
    if (!target) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  // What is wider than the page is scrolled in its own box, which the keyboard has to reach.
  const watch = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      const wide = target.scrollWidth > target.clientWidth + 1;
      const words = target.querySelector("caption")?.textContent ?? target.querySelector("table")?.ariaLabel ?? "";
      if (!wide) for (const name of ["tabindex", "role", "aria-label"]) target.removeAttribute(name);
      else {
        target.tabIndex = 0;
        target.setAttribute("role", "group");
        target.setAttribute("aria-label", `${words.trim() || "Table"}, scrolls sideways`);
      }
    }
  });

  document.querySelectorAll("table[data-filter]").forEach(filterable);
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("[data-unfold]").forEach(unfoldable);
  document.querySelectorAll(".scroll").forEach((box) => watch.observe(box));
  addEventListener("hashchange", reveal);
  reveal();

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
})();
