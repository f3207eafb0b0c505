// Keeps the values of secrets out of what people and logs see. Owns the set of values known right now; where they come
// from is the loader's business.

/** Shorter values would blot out ordinary words. */
const valueLengthMin = 6

export interface Redactor {
  learn(values: Iterable<string>): void
  text(text: string): string
}

export function createRedactor(): Redactor {
  const known = new Set<string>()
  let longestFirst: string[] = []
  return {
    learn: values => {
      for (const value of values) if (value.length >= valueLengthMin) known.add(value)
      // A secret that contains another one goes first, or its rest would stay.
      longestFirst = [...known].sort((a, b) => b.length - a.length)
    },
    text: text => longestFirst.reduce((shown, value) => shown.replaceAll(value, '***'), text),
  }
}
