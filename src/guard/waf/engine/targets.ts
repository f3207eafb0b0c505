// Which values a rule looks at in this request.

import { Work } from '../matcher/work.ts'
import type { Target } from '../seclang/rule.ts'
import type { Entries, Entry } from './entries.ts'

export function matchesTarget(target: Target, entry: Entry): boolean {
  if (target.collection !== entry.collection) return false
  if (target.pattern !== null) return namesMatch(target, entry.key)
  return (
    target.key === '' || target.key === entry.key || (entry.collection === 'XML' && target.key === entry.name)
  )
}

/** Of a name, which the client chose: as much as its first bytes. What is longer is not excluded by a pattern. */
const nameBytesMax = 512

function namesMatch(target: Target, key: string): boolean {
  if (key.length > nameBytesMax) return false
  const bytes = Buffer.from(key, 'latin1')
  return target.pattern!.test(bytes, bytes.length, new Work(Number.MAX_SAFE_INTEGER))
}

/** `list` gets the key that is looked for too: '' = all, or those of a pattern. */
export function entriesOf(
  targets: readonly Target[],
  without: readonly Target[],
  list: (collection: string, key: string) => readonly Entry[],
  entries: Entries,
): Entry[] {
  const found: Entry[] = []
  for (const target of targets) {
    const all = list(target.collection, target.key)
    const whole = target.key === '' && target.pattern === null
    if (target.count) {
      const count = all.filter(entry => !entry.again && (whole || matchesTarget(target, entry))).length
      const value = entries.value(String(count))
      found.push({
        collection: `&${target.collection}`,
        name: target.key,
        key: target.key,
        value,
        again: false,
      })
      continue
    }
    for (const entry of all) {
      if (!whole && !matchesTarget(target, entry)) continue
      if (without.length === 0 || !without.some(one => matchesTarget(one, entry))) found.push(entry)
    }
  }
  return found
}
