"""Full-text search: index `documents` once, then answer any number of queries.

Arguments: documents (an object of titles and texts), query (words), limit (most hits, 10).

The index depends on `documents` alone. So the function says where it is built: `snapshot_point`.
The first call with some documents builds it and is captured there; later calls with the same
documents go on from that point, whatever they ask for.
"""

import math
import re

import seuss

WORD = re.compile(r"\w+")
SATURATION, LENGTH_WEIGHT = 1.2, 0.75


class Index:
    """An inverted index with BM25 ranking (Robertson and Zaragoza 2009, equation 3.15)."""

    def __init__(self, documents):
        self.titles = list(documents)
        self.lengths = []
        self.postings = {}
        for number, text in enumerate(documents.values()):
            words = WORD.findall(text.lower())
            self.lengths.append(len(words))
            for word in words:
                counts = self.postings.setdefault(word, {})
                counts[number] = counts.get(number, 0) + 1
        self.mean = sum(self.lengths) / len(self.lengths) if any(self.lengths) else 1.0

    def search(self, query, limit):
        """Return up to `limit` pairs of title and score, the best first."""
        scores = {}
        for word in WORD.findall(query.lower()):
            counts = self.postings.get(word, {})
            rarity = math.log(1 + (len(self.titles) - len(counts) + 0.5) / (len(counts) + 0.5))
            for number, count in counts.items():
                length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * self.lengths[number] / self.mean
                gain = count * (SATURATION + 1) / (count + SATURATION * length)
                scores[number] = scores.get(number, 0.0) + rarity * gain
        best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
        return [[self.titles[number], round(scores[number], 6)] for number in best]


def main(args):
    index = Index(args.get("documents", {}))
    args = seuss.snapshot_point("documents")
    hits = index.search(args.get("query", ""), args.get("limit", 10))
    return {"documents": len(index.titles), "words": len(index.postings), "hits": hits}
