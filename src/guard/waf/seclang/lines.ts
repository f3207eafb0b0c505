// Cuts a rule file into directives: continued lines joined, comments dropped, arguments unquoted. A file is a byte
// string, so that patterns keep their bytes.

import type { Place } from './rule.ts'

export interface Directive {
  readonly name: string
  readonly words: readonly string[]
  readonly place: Place
}

export class RuleSyntaxError extends Error {
  readonly place: Place

  constructor(place: Place, sentence: string) {
    super(`${place.file}:${place.line}: ${sentence}`)
    this.place = place
  }
}

export function readDirectives(text: string, file: string): Directive[] {
  const directives: Directive[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index += 1) {
    const place: Place = { file, line: index + 1 }
    let line = lines[index]!.replace(/\r$/, '').trimStart()
    if (line === '' || line.startsWith('#')) continue
    while (line.endsWith('\\') && index + 1 < lines.length) {
      index += 1
      line = line.slice(0, -1) + lines[index]!.replace(/\r$/, '').trimStart()
    }
    const words = wordsOf(line, place)
    if (words.length > 0) directives.push({ name: words[0]!, words: words.slice(1), place })
  }
  return directives
}

/** `"` quotes; within them only `\"` is an escape: patterns keep their backslashes. */
function wordsOf(line: string, place: Place): string[] {
  const words: string[] = []
  let at = 0
  while (at < line.length) {
    if (line[at] === ' ' || line[at] === '\t') {
      at += 1
      continue
    }
    const quote = line[at] === '"' || line[at] === "'" ? line[at]! : ''
    let word = ''
    if (quote !== '') at += 1
    for (; ; at += 1) {
      const character = line[at]
      if (character === undefined) {
        if (quote !== '') throw new RuleSyntaxError(place, 'a quoted word has no end')
        break
      }
      if (quote === '' ? character === ' ' || character === '\t' : character === quote) break
      if (quote !== '' && character === '\\' && line[at + 1] === quote) at += 1
      word += line[at]
    }
    if (quote !== '') at += 1
    words.push(word)
  }
  return words
}
