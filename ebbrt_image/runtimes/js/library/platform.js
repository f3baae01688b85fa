// crypto, structuredClone, Math.random, and `seuss`: what the platform adds.
(native, global) => {
  "use strict";

  const integers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array,
    Uint32Array, BigInt64Array, BigUint64Array];

  const crypto = {
    getRandomValues(target) {
      if (!integers.some((kind) => target instanceof kind))
        throw new DOMException("getRandomValues fills arrays of integers", "TypeMismatchError");
      if (target.byteLength > 65536)
        throw new DOMException(`${target.byteLength} bytes are more than 65536`, "QuotaExceededError");
      native.fillRandom(target.buffer, target.byteOffset, target.byteLength);
      return target;
    },

    randomUUID() {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };

  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

  // The engine's serialisation knows no errors; functions and symbols it refuses.
  const structuredClone = (value) => {
    if (value instanceof Error) {
      const copy = new (ERRORS[value.name] ?? Error)(value.message);
      copy.stack = value.stack;
      if ("cause" in value) copy.cause = structuredClone(value.cause);
      return copy;
    }
    try {
      return native.clone(value);
    } catch (error) {
      throw new DOMException(`the value cannot be cloned: ${error.message}`, "DataCloneError");
    }
  };

  class PointError extends Error {}
  Object.defineProperty(PointError.prototype, "name", { value: "PointError", writable: true, configurable: true });

  native.seedRandom();
  const callbacks = [];
  let generation = 0;
  const seuss = {
    generation: () => generation,

    onRestore(callback) {
      if (typeof callback !== "function") throw new TypeError("onRestore takes a function");
      callbacks.push(callback);
      return callback;
    },

    PointError,

    // Another takes its place where the function's source has a point (later/points.js).
    snapshotPoint() {
      throw new PointError(
        "snapshotPoint is for main, in the function's file, with its names as plain texts",
      );
    },
  };

  native.restored = (number) => {
    generation = number;
    native.seedRandom();
    let failed;
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed !== undefined) throw failed;
  };

  Object.defineProperty(Math, "random", { value: native.random, writable: true, configurable: true });
  for (const [name, value] of Object.entries({ crypto, structuredClone, seuss }))
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
};
