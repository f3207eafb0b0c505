// Texts of which at least one must occur wherever a pattern matches, in lower case: most values have none of them, and
// need no automaton. Only a filter: when in doubt, it says that everything may match.

import { type ByteSet, membersOf } from './bytes.ts'
import type { Tree } from './syntax.ts'

const textsMax = 400
const exactMax = 48
const lengthMax = 24

/** `exact`: the tree matches these texts and no others. `need`: each match holds one of them. Null: can't be said. */
interface Facts {
  readonly exact: readonly string[] | null
  readonly need: readonly string[] | null
}

const nothing: Facts = { exact: [''], need: null }
const unknown: Facts = { exact: null, need: null }

/** Null: it must always be asked. */
export function requiredTexts(tree: Tree): readonly string[] | null {
  const facts = factsOf(tree)
  const best = better(facts.need, useful(facts.exact))
  return best === null ? null : withoutLonger(best)
}

function factsOf(tree: Tree): Facts {
  switch (tree.kind) {
    case 'set':
      return setFacts(tree.set)
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

/** Most sets are literals, which all patterns share. */
const knownSets: WeakMap<ByteSet, Facts> = new WeakMap()

function setFacts(set: ByteSet): Facts {
  const known = knownSets.get(set)
  if (known !== undefined) return known
  const members = new Set(membersOf(set).map(byte => lowerText(byte)))
  const facts = members.size > 0 && members.size <= 12 ? { exact: [...members], need: null } : unknown
  knownSets.set(set, facts)
  return facts
}

function sequenceFacts(parts: readonly Tree[]): Facts {
  let run: readonly string[] = ['']
  let whole = true
  let need: readonly string[] | null = null
  for (const part of parts) {
    const facts = factsOf(part)
    const joined = facts.exact === null ? null : product(run, facts.exact)
    if (joined !== null) {
      run = joined
      continue
    }
    need = better(need, useful(run))
    need = better(need, facts.need)
    need = better(need, useful(facts.exact))
    run = facts.exact ?? ['']
    whole = false
  }
  if (whole) return { exact: run, need: null }
  return { exact: null, need: better(need, useful(run)) }
}

function choiceFacts(parts: readonly Facts[]): Facts {
  if (parts.every(part => part.exact !== null)) {
    const exact = [...new Set(parts.flatMap(part => part.exact!))]
    if (exact.length <= textsMax) return { exact, need: null }
  }
  const needs = parts.map(part => better(part.need, useful(part.exact)))
  if (needs.some(need => need === null)) return unknown
  const need = [...new Set(needs.flatMap(one => one!))]
  return { exact: null, need: need.length <= textsMax ? need : null }
}

function repeatFacts(tree: Extract<Tree, { kind: 'repeat' }>): Facts {
  const inner = factsOf(tree.part)
  if (tree.least === 0) {
    if (tree.most === 1 && inner.exact !== null && inner.exact.length < exactMax) {
      return { exact: [...new Set(['', ...inner.exact])], need: null }
    }
    return unknown
  }
  if (tree.least === tree.most && tree.least <= 4 && inner.exact !== null) {
    let exact: readonly string[] | null = ['']
    for (let count = 0; count < tree.least && exact !== null; count += 1) exact = product(exact, inner.exact)
    if (exact !== null) return { exact, need: null }
  }
  return { exact: null, need: better(inner.need, useful(inner.exact)) }
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
  return texts.every(text => text.length > 1 || /^[^a-z0-9 ]$/.test(text)) ? texts : null
}

function better(one: readonly string[] | null, other: readonly string[] | null): readonly string[] | null {
  if (one === null) return other
  if (other === null) return one
  return worth(other) > worth(one) ? other : one
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
