// AbortController and AbortSignal (WHATWG DOM standard). "abort" is the only event there is.
(native, global) => {
  "use strict";

  const KEY = Symbol();
  const LONGEST = 2 ** 31 - 1;
  let abort;

  class AbortSignal {
    #aborted = false;
    #reason;
    #listeners = new Set();
    onabort = null;

    constructor(key) {
      if (key !== KEY) throw new TypeError("a signal is made by AbortController");
    }

    static {
      abort = (signal, reason = new DOMException("the operation was aborted", "AbortError")) => {
        if (signal.#aborted) return;
        signal.#aborted = true;
        signal.#reason = reason;
        const called = [...signal.#listeners, signal.onabort];
        signal.#listeners.clear();
        for (const listener of called) {
          try {
            listener?.call(signal, { type: "abort", target: signal });
          } catch (error) {
            console.error(error);
          }
        }
      };
    }

    static abort(reason) {
      const signal = new AbortSignal(KEY);
      abort(signal, reason);
      return signal;
    }

    static timeout(delay) {
      delay = Number(delay);
      // A timer takes what is no delay, or too long a one, for 1 ms.
      if (!(delay >= 0 && delay < Infinity)) throw new TypeError(`${delay} is no time in ms`);
      const signal = new AbortSignal(KEY);
      const over = () => abort(signal, new DOMException("the time is over", "TimeoutError"));
      setTimeout(over, Math.min(delay, LONGEST));
      return signal;
    }

    static any(signals) {
      const joined = new AbortSignal(KEY);
      for (const signal of signals) {
        if (signal.aborted) abort(joined, signal.reason);
        else signal.addEventListener("abort", () => abort(joined, signal.reason));
      }
      return joined;
    }

    get aborted() {
      return this.#aborted;
    }

    get reason() {
      return this.#reason;
    }

    throwIfAborted() {
      if (this.#aborted) throw this.#reason;
    }

    addEventListener(type, listener) {
      if (type === "abort" && !this.#aborted) this.#listeners.add(listener);
    }

    removeEventListener(type, listener) {
      if (type === "abort") this.#listeners.delete(listener);
    }
  }

  class AbortController {
    #signal = new AbortSignal(KEY);

    get signal() {
      return this.#signal;
    }

    abort(reason) {
      abort(this.#signal, reason);
    }
  }

  for (const [name, value] of Object.entries({ AbortController, AbortSignal }))
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
};
