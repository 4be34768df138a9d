"use strict";
// Sorts and filters tables, expands details. The pages are complete without this script.
// No library: DataTables needs 620 kB of script and 107 kB of style per page (itables 2.9) and shows ten rows at a time.
(() => {
  const missing = /^[\s–-]*$/;
  const cellText = (cell) => (cell ? cell.dataset.value ?? cell.textContent : "").trim();
  const numberIn = (text) => Number((/-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/i.exec(text) || ["0"])[0].replaceAll(",", ""));
  // W2 before W10, and case-insensitive. Intl.Collator gives the same order in ten times the time.
  const wordKey = (text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
  const make = (tag, fields) => Object.assign(document.createElement(tag), fields);
  const dataRows = (body) => [...body.rows].filter((row) => !row.classList.contains("group"));

  // Sort the rows of each body. A body has one protocol, and values of two protocols are not comparable.
  function sort(table, head, column) {
    const descending = head.getAttribute("aria-sort") === "ascending";
    const numeric = head.classList.contains("n");
    const compare = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
    for (const other of table.tHead.rows[0].cells) if (other.ariaSort) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    for (const body of [...table.tBodies]) {
      const withValue = [], withoutValue = [];
      for (const row of dataRows(body)) {
        const text = cellText(row.cells[column]);
        if (missing.test(text)) withoutValue.push(row);
        else withValue.push({ row, key: numeric ? numberIn(text) : wordKey(text) });
      }
      withValue.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
      // Rows are moved while their body is outside the page, so the layout is computed once.
      const next = body.nextSibling;
      body.remove();
      for (const { row } of withValue) body.append(row);
      for (const row of withoutValue) body.append(row); // Rows without a value are last in both orders.
      table.insertBefore(body, next);
    }
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim() || head.colSpan > 1 || head.classList.contains("drawn")) return;
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  // A row is shown if each word of the filter is in the row or in the head of its group.
  function makeFilterable(table) {
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
    const label = make("label", { textContent: table.dataset.filter + " " });
    const count = make("output", {});
    const groups = [...table.tBodies].map((body) => {
      const head = body.querySelector("tr.group")?.textContent.toLowerCase() ?? "";
      return { body, rows: dataRows(body).map((row) => ({ row, text: `${row.textContent} ${head}`.toLowerCase() })) };
    });
    const total = groups.reduce((sum, group) => sum + group.rows.length, 0);
    const update = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const { body, rows } of groups) {
        let shownInBody = 0;
        for (const { row, text } of rows) {
          const matches = words.every((word) => text.includes(word));
          if (row.hidden === matches) row.hidden = !matches;
          shownInBody += matches;
        }
        body.hidden = rows.length > 0 && !shownInBody;
        shown += shownInBody;
      }
      count.textContent = words.length ? `${shown} of ${total} rows` : `${total} rows`;
    };
    input.addEventListener("input", update);
    count.setAttribute("aria-live", "polite");
    label.append(input);
    const bar = make("p", { className: "filter" });
    bar.append(label, count);
    (table.closest(".scroll") ?? table).before(bar);
    update();
  }

  // A button that expands or collapses all details of a part of the page.
  function addExpandButton(part) {
    const folds = [...part.querySelectorAll(":scope > details")];
    if (folds.length < 2) return;
    const button = make("button", { type: "button" });
    const allOpen = () => folds.every((fold) => fold.open);
    const updateText = () => { button.textContent = allOpen() ? "Collapse all" : `Expand all ${folds.length}`; };
    button.addEventListener("click", () => {
      const open = !allOpen();
      for (const fold of folds) fold.open = open;
      updateText();
    });
    for (const fold of folds) fold.addEventListener("toggle", updateText);
    updateText();
    const bar = make("p", { className: "tools" });
    bar.append(button);
    part.prepend(bar);
  }

  // Expand the details around the target of a link.
  function reveal() {
    let name = "";
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = name && document.getElementById(name);
    if (!target) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  // A table that is wider than the page scrolls in its own box; the keyboard can focus such a box.
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth <= target.clientWidth + 1) {
        for (const name of ["tabindex", "role", "aria-label"]) target.removeAttribute(name);
        continue;
      }
      const title = target.querySelector("caption")?.textContent ?? target.querySelector("table")?.ariaLabel ?? "";
      target.tabIndex = 0;
      target.setAttribute("role", "group");
      target.setAttribute("aria-label", `${title.trim() || "Table"}, scrolls sideways`);
    }
  });

  document.querySelectorAll("table[data-filter]").forEach(makeFilterable);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll("[data-expand]").forEach(addExpandButton);
  document.querySelectorAll(".scroll").forEach((box) => observer.observe(box));
  addEventListener("hashchange", reveal);
  reveal();

  // Printing expands all details.
  let collapsed = [];
  addEventListener("beforeprint", () => {
    collapsed = [...document.querySelectorAll("details:not([open])")];
    for (const fold of collapsed) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of collapsed) fold.open = false; });
})();
