// Which partitions a table is to have now: those that are missing, those that are older than what is kept. What somebody else
// has made counts as it is: a range that is covered is not made again, one that is covered in part is said.

import type {
  FoundPartition,
  PartitionPlan,
  PartitionRange,
  PartitionSpec,
  WantedPartition,
} from './contract.ts'
import { laterStart, periodName, startOf, timeText } from './periods.ts'

/** Of PostgreSQL's names, in bytes. */
const nameMax = 63

/** @param at now in microseconds since 1970, or the largest value of the column; of hash partitions anything */
export function planPartitions(
  spec: PartitionSpec,
  found: readonly FoundPartition[],
  at: number,
): PartitionPlan {
  return spec.rule.by === 'hash'
    ? planHash(spec, spec.rule.count, found)
    : planRanges(spec, wantedRanges(spec, at), found)
}

interface Wanted extends PartitionRange {
  readonly suffix: string
}

interface Ranges {
  readonly wanted: readonly Wanted[]
  /** What ends at or before this is not kept. */
  readonly oldest: number
}

function wantedRanges({ rule, ahead, keep }: PartitionSpec, at: number): Ranges {
  const counts = Array.from({ length: ahead + 1 }, (_, index) => index)
  if (rule.by === 'time') {
    const { every } = rule
    const first = startOf(every, at)
    return {
      wanted: counts.map(count => {
        const from = laterStart(every, first, count)
        return { from, to: laterStart(every, from, 1), suffix: `p${periodName(every, from)}` }
      }),
      oldest: keep === null ? Number.NEGATIVE_INFINITY : laterStart(every, first, -keep),
    }
  }
  const step = rule.by === 'step' ? rule.step : 1
  const first = Math.floor(at / step)
  return {
    wanted: counts.map(count => ({
      from: (first + count) * step,
      to: (first + count + 1) * step,
      suffix: `p${first + count < 0 ? 'm' : ''}${Math.abs(first + count) * step}`,
    })),
    oldest: keep === null ? Number.NEGATIVE_INFINITY : (first - keep) * step,
  }
}

function planRanges(
  spec: PartitionSpec,
  { wanted, oldest }: Ranges,
  found: readonly FoundPartition[],
): PartitionPlan {
  const ranges = found
    .flatMap(one => (one.kind === 'range' ? [one] : []))
    .sort((one, other) => one.from - other.from)
  const troubles = found.flatMap(one =>
    one.kind === 'hash' || one.kind === 'other'
      ? [`partition ${one.name} is of another kind than the file says`]
      : [],
  )
  const taken = new Set(found.map(({ name }) => name))
  const make: WantedPartition[] = []
  for (const { from, to, suffix } of wanted) {
    const over = ranges.filter(one => one.from < to && one.to > from)
    if (over.length > 0) {
      if (!covered(over, from, to))
        troubles.push(
          `${over.map(({ name }) => name).join(', ')} has a part of what ${suffix} would have: that range stays without a partition of its own`,
        )
      continue
    }
    const name = partitionName(spec.table, suffix)
    if (taken.has(name)) {
      troubles.push(`partition ${name} is there with other bounds`)
      continue
    }
    make.push({ name, bounds: boundsOf(spec, from, to), range: { from, to } })
  }
  const remove = ranges.filter(one => one.to <= oldest).map(({ name }) => name)
  return { make, remove, troubles }
}

function covered(ranges: readonly PartitionRange[], from: number, to: number): boolean {
  let at = from
  for (const one of ranges) {
    if (one.from > at) return false
    at = Math.max(at, one.to)
  }
  return at >= to
}

function boundsOf({ rule }: PartitionSpec, from: number, to: number): string {
  const text = (value: number): string => `'${rule.by === 'time' ? timeText(value) : value}'`
  return `FROM (${text(from)}) TO (${text(to)})`
}

function planHash(spec: PartitionSpec, count: number, found: readonly FoundPartition[]): PartitionPlan {
  const hashes = found.flatMap(one => (one.kind === 'hash' ? [one] : []))
  const troubles = found
    .filter(one => one.kind !== 'hash')
    .map(({ name }) => `partition ${name} is of another kind than the file says`)
  const other = hashes.find(({ modulus }) => modulus !== count)
  if (other !== undefined) {
    troubles.push(
      `partition ${other.name} is one of ${other.modulus}, and the file says ${count}: rows don't move between hash partitions by themselves`,
    )
    return { make: [], remove: [], troubles }
  }
  const there = new Set(hashes.map(({ remainder }) => remainder))
  const make = Array.from({ length: count }, (_, remainder) => remainder)
    .filter(remainder => !there.has(remainder))
    .map(remainder => ({
      name: partitionName(spec.table, `h${remainder}`),
      bounds: `WITH (MODULUS ${count}, REMAINDER ${remainder})`,
      range: null,
    }))
  return { make, remove: [], troubles }
}

/** Names that are too long lose letters of the table's. */
export function partitionName(table: string, suffix: string): string {
  const bare = table.slice(table.indexOf('.') + 1)
  const end = `_${suffix}`
  let kept = bare
  while (bytesOf(kept) + end.length > nameMax) kept = [...kept].slice(0, -1).join('')
  return kept + end
}

/** In UTF-8. */
function bytesOf(text: string): number {
  let bytes = 0
  for (const one of text) {
    const code = one.codePointAt(0) as number
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4
  }
  return bytes
}
