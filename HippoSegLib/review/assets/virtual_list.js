// A list of any length of which only what can be seen is in the page.

/**
 * Items of one height, in rows of one or more columns, in a box that scrolls.
 *
 * options: scroller (the box), layout(width) -> { columns, width, height, top } in pixels, create() -> element with
 * the methods `fill(scan)` and `update()`, settled(element, scan) called once the element stays in view (for its
 * picture), removed(element), count(element, place, number) for those who hear the page. Elements that went out of view are used again.
 */
class VirtualList {
  constructor(options) {
    Object.assign(this, options);
    this.items = [];
    this.elements = new Map(); // scan -> element
    this.spare = [];
    this.waiting = new Set();
    this.at = { place: 0, time: 0 };
    this.space = make("div", { class: "space" });
    this.scroller.append(this.space);
    this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(this.scroller);
  }

  /** Show other items, or the same in another order. */
  show(items) {
    this.items = items;
    this.draw();
    this.refresh();
  }

  /** Show what has become of the items in view: their elements have a method `update`. */
  refresh() {
    for (const element of this.elements.values()) element.update();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const { clientWidth, clientHeight, scrollTop } = this.scroller;
    if (!clientHeight) return; // another view is shown
    const { columns, width, height, top } = this.layout(clientWidth);
    this.shape = { columns, height, top };
    this.space.style.height = `${Math.ceil(this.items.length / columns) * height + top}px`;
    // One row more on either side, so that a picture is there before it comes into view.
    const first = Math.max(0, Math.floor((scrollTop - top) / height) - 1) * columns;
    const last = Math.min(this.items.length, (Math.ceil((scrollTop - top + clientHeight) / height) + 1) * columns);
    const seen = new Set(this.items.slice(first, last));
    for (const scan of [...this.elements.keys()]) if (!seen.has(scan)) this.drop(scan);
    for (let index = first; index < last; index++) {
      const scan = this.items[index];
      const element = this.elements.get(scan) ?? this.add(scan);
      const place = `translate(${(index % columns) * width}px, ${Math.floor(index / columns) * height + top}px)`;
      if (element.style.transform !== place) element.style.transform = place;
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      this.count(element, index + 1, this.items.length);
    }
    for (const element of this.spare) element.hidden = true;
    clearTimeout(this.timer);
    if (this.isSlow(scrollTop, clientHeight)) this.settle();
    else this.timer = setTimeout(() => this.settle(), 60);
  }

  /** Whether less than two windows' heights a second are scrolled. */
  isSlow(place, height) {
    const time = performance.now();
    const way = Math.abs(place - this.at.place);
    const isSlow = way < 2 * height * Math.min(0.1, (time - this.at.time) / 1000);
    this.at = { place, time };
    return isSlow;
  }

  add(scan) {
    let element = this.spare.pop();
    if (element === undefined) {
      element = this.create();
      this.space.append(element);
    }
    element.hidden = false;
    element.fill(scan);
    this.elements.set(scan, element);
    this.waiting.add(scan);
    return element;
  }

  drop(scan) {
    const element = this.elements.get(scan);
    this.removed?.(element);
    this.spare.push(element);
    this.elements.delete(scan);
    this.waiting.delete(scan);
  }

  /** What stays in view gets its picture: none is loaded for what only flies by. */
  settle() {
    for (const scan of this.waiting) this.settled?.(this.elements.get(scan), scan);
    this.waiting.clear();
  }

  /** Scroll as little as needed for an item to be seen. */
  reveal(index) {
    if (!this.shape || index < 0) return;
    const { columns, height, top } = this.shape;
    const place = Math.floor(index / columns) * height;
    const { scrollTop, clientHeight } = this.scroller;
    if (place < scrollTop) this.scroller.scrollTop = place;
    else if (place + height + top > scrollTop + clientHeight) this.scroller.scrollTop = place + height + top - clientHeight;
    this.draw();
  }
}
