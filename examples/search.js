// Full-text search: index `documents` once, then answer any number of queries.
//
// Arguments: documents (an object of titles and texts), query (words), limit (most hits, 10).
//
// The index depends on `documents` alone. So the function says where it is built: `snapshotPoint`.
// Later calls with the same documents go on from that point, whatever they ask for.

const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];

// An inverted index: for each word, how often which document has it.
class Index {
  #titles;
  #postings = new Map();

  constructor(documents) {
    this.#titles = Object.keys(documents);
    this.#titles.forEach((title, number) => {
      for (const word of words(documents[title])) {
        if (!this.#postings.has(word)) this.#postings.set(word, new Map());
        const counts = this.#postings.get(word);
        counts.set(number, (counts.get(number) ?? 0) + 1);
      }
    });
  }

  // Returns up to `limit` pairs of title and score, the best first: rare words weigh more.
  search(query, limit) {
    const scores = new Map();
    for (const word of words(query)) {
      const counts = this.#postings.get(word) ?? new Map();
      const rarity = Math.log(1 + this.#titles.length / counts.size);
      for (const [number, count] of counts)
        scores.set(number, (scores.get(number) ?? 0) + rarity * (1 + Math.log(count)));
    }
    return [...scores]
      .sort(([one, a], [other, b]) => b - a || one - other)
      .slice(0, limit)
      .map(([number, score]) => [this.#titles[number], Number(score.toFixed(6))]);
  }
}

export function main(args) {
  const index = new Index(args.documents ?? {});
  const { query = "", limit = 10 } = seuss.snapshotPoint("documents");
  return { hits: index.search(query, limit) };
}
