// Lists of texts, in lower case, of which each must have one that occurs wherever a pattern matches: most values lack one,
// and need no automaton. Only a filter: when in doubt, it says that everything may match.

import { membersOf } from './bytes.ts'
import type { Tree } from './syntax.ts'

const textsMax = 400
const exactMax = 48
const lengthMax = 24

/** Lists that must all have a text in a match: the second often rules out what the first lets by. */
const listsMax = 3

/** `exact`: the tree matches these texts and no others; null: can't be said. `needs`: each match holds one of each list. */
interface Facts {
  readonly exact: readonly string[] | null
  readonly needs: readonly (readonly string[])[]
}

const nothing: Facts = { exact: [''], needs: [] }
const unknown: Facts = { exact: null, needs: [] }

/** Empty: it must always be asked. */
export function requiredTexts(tree: Tree): readonly (readonly string[])[] {
  return needsOf(factsOf(tree)).map(withoutLonger)
}

function needsOf(facts: Facts): readonly (readonly string[])[] {
  return best(facts.needs, useful(facts.exact))
}

function factsOf(tree: Tree): Facts {
  switch (tree.kind) {
    case 'set': {
      const members = new Set(membersOf(tree.set).map(byte => lowerText(byte)))
      return members.size > 0 && members.size <= 12 ? { exact: [...members], needs: [] } : unknown
    }
    case 'sequence':
      return sequenceFacts(tree.parts)
    case 'choice':
      return choiceFacts(tree.parts.map(factsOf))
    case 'repeat':
      return repeatFacts(tree)
    case 'group':
      return factsOf(tree.part)
    case 'again':
      return unknown
    default:
      return nothing
  }
}

function sequenceFacts(parts: readonly Tree[]): Facts {
  let run: readonly string[] = ['']
  let whole = true
  let needs: readonly (readonly string[])[] = []
  for (const part of parts) {
    const facts = factsOf(part)
    const joined = facts.exact === null ? null : product(run, facts.exact)
    if (joined !== null) {
      run = joined
      continue
    }
    needs = best([...needs, ...facts.needs], useful(run))
    needs = best(needs, useful(facts.exact))
    run = facts.exact ?? ['']
    whole = false
  }
  if (whole) return { exact: run, needs: [] }
  return { exact: null, needs: best(needs, useful(run)) }
}

/** What each alternative needs first, together; and so on as long as all have one. */
function choiceFacts(parts: readonly Facts[]): Facts {
  if (parts.every(part => part.exact !== null)) {
    const exact = [...new Set(parts.flatMap(part => part.exact!))]
    if (exact.length <= textsMax) return { exact, needs: [] }
  }
  const all = parts.map(needsOf)
  const count = Math.min(...all.map(needs => needs.length))
  const needs: (readonly string[])[] = []
  for (let index = 0; index < count; index += 1) {
    const together = [...new Set(all.flatMap(one => one[index]!))]
    if (together.length <= textsMax) needs.push(together)
  }
  return { exact: null, needs }
}

function repeatFacts(tree: Extract<Tree, { kind: 'repeat' }>): Facts {
  const inner = factsOf(tree.part)
  if (tree.least === 0) {
    if (tree.most === 1 && inner.exact !== null && inner.exact.length < exactMax) {
      return { exact: [...new Set(['', ...inner.exact])], needs: [] }
    }
    return unknown
  }
  if (tree.least === tree.most && tree.least <= 4 && inner.exact !== null) {
    let exact: readonly string[] | null = ['']
    for (let count = 0; count < tree.least && exact !== null; count += 1) exact = product(exact, inner.exact)
    if (exact !== null) return { exact, needs: [] }
  }
  return { exact: null, needs: needsOf(inner) }
}

function product(left: readonly string[], right: readonly string[]): readonly string[] | null {
  if (left.length * right.length > exactMax && left.length > 1 && right.length > 1) return null
  if (left.length * right.length > textsMax) return null
  const texts = new Set<string>()
  for (const one of left) {
    for (const other of right) {
      if (one.length + other.length > lengthMax) return null
      texts.add(one + other)
    }
  }
  return [...texts]
}

/** Null when one of them is empty, or so common that looking for it saves nothing. */
function useful(texts: readonly string[] | null): readonly string[] | null {
  if (texts === null || texts.length === 0 || texts.length > textsMax) return null
  return texts.every(text => text.length > 1 || /^[^a-z0-9]$/.test(text)) ? texts : null
}

/** The best few, no list twice. */
function best(
  lists: readonly (readonly string[])[],
  another: readonly string[] | null,
): readonly (readonly string[])[] {
  const all = another === null ? lists : [...lists, another]
  const different = new Map(all.map(list => [[...list].sort().join('\n'), list]))
  return [...different.values()].sort((a, b) => worth(b) - worth(a)).slice(0, listsMax)
}

/** Long texts first, few of them second. */
function worth(texts: readonly string[]): number {
  const shortest = Math.min(...texts.map(text => text.length))
  return Math.min(shortest, 5) * 100 - Math.min(texts.length, 99)
}

/** A text that holds another one of the list says nothing more. */
function withoutLonger(texts: readonly string[]): readonly string[] {
  const sorted = [...new Set(texts)].sort((a, b) => a.length - b.length)
  const kept: string[] = []
  for (const text of sorted) if (!kept.some(short => text.includes(short))) kept.push(text)
  return kept
}

function lowerText(byte: number): string {
  return String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)
}
