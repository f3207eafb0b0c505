// The root of the key `rehearsals`: what `tenfold simulate` plays through. It gives rehearsals whose targets are still
// texts; completeRehearsals finds them among the parts of the file, and fills in what depends on those.

import type { CheckedDatabase } from './checked-databases.ts'
import type { CheckedRehearsal, CheckedTopology } from './checked-rehearsals.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import { arrivals, clients } from './rehearsal-arrivals.ts'
import { checkRehearsal, type PlacedFault } from './rehearsal-checks.ts'
import { expectations, type ParsedExpectation } from './rehearsal-expect.ts'
import { faults, type ParsedFault } from './rehearsal-faults.ts'
import { expectationOf, faultsOf, type Parts } from './rehearsal-targets.ts'
import { into, mapOf, strict } from './shapes.ts'
import { choice, duration, Refused, type Schema, text, whole } from './values.ts'
import { partsOf } from './workload-parts.ts'

const topology: Schema<CheckedTopology> = into(
  strict(
    {
      topology: choice(
        '`file`: what `databases` says of replicas and durability. `async`, `sync`: a primary that waits for none, or for all. `quorum`: any copies of a number. `multi-primary`: each takes writes. `ring`: each, and hands them on to the next.',
        ['file', 'async', 'sync', 'quorum', 'multi-primary', 'ring'],
      ).prefault('file'),
      write: whole('Of a quorum: copies that a write waits for.', 1, 100).optional(),
      read: whole('Of a quorum: copies that a read asks.', 1, 100).optional(),
      partition: choice(
        'What servers do that can not hear enough of the others: `refuse`, or `serve` what may be stale, and settle it later.',
        ['refuse', 'serve'],
      ).prefault('refuse'),
    },
    {
      about: 'How copies are kept in this rehearsal.',
      elsewhere: { kind: "Did you mean 'topology'?", replicas: "'replicas' is a key of 'databases'." },
    },
  ),
  ({ topology: kind, write, read, partition }) => {
    if (kind === 'quorum' && (write === undefined || read === undefined))
      return new Refused(
        "is a quorum without 'write' and 'read'",
        'Write { write: 2, read: 2 } of 3 servers.',
      )
    if (kind !== 'quorum' && (write !== undefined || read !== undefined))
      return new Refused(
        `says 'write' or 'read', which topology '${kind}' has not`,
        "Write topology: 'quorum'.",
      )
    return { kind, writeCopies: write ?? 1, readCopies: read ?? 1, partition }
  },
)

/** A rehearsal whose targets are still texts. */
export type ParsedRehearsal = Omit<CheckedRehearsal, 'name' | 'faults' | 'expect'> & {
  readonly faults: readonly ParsedFault[]
  readonly expect: readonly ParsedExpectation[]
}

/** Of the duration: enough for queues to fill where they are not nearly full. */
const warmupShare = 0.1
const warmupDefaultMsMax = 60_000

const rehearsal: Schema<ParsedRehearsal> = into(
  strict(
    {
      about: text('What it is for.', 'a text', { lengthMax: 500 }).optional(),
      seed: whole('Of all chance: the same seed gives the same run.', 0, 4_294_967_295).prefault(1),
      duration: duration('Virtual time that counts, after the warm-up.', '10ms', '366d').prefault('10m'),
      warmup: duration(
        'Virtual time before it that does not count. Left out: a tenth of the duration, at most a minute.',
        '0ms',
        '30d',
      ).optional(),
      arrivals: arrivals.prefault('peak'),
      clients: clients.prefault({}),
      edges: whole('Machines that run an edge, each with its own view of the load.', 1, 1000).prefault(1),
      sample: whole(
        'k: one in k of the users and of the instances is played, where that is valid. 1: all.',
        1,
        1_000_000,
      ).prefault(1),
      databases: partsOf(
        topology,
        'How copies are kept, by database. Left out: as the file says.',
        20,
      ).prefault({}),
      faults: faults.prefault([]),
      expect: expectations.prefault({}),
    },
    {
      about: 'One rehearsal.',
      elsewhere: {
        load: "Did you mean 'arrivals'?",
        rate: "Write arrivals: '500/s'.",
        retries: "'retries' is a key of 'clients'.",
        patience: "'patience' is a key of 'clients'.",
        description: "Did you mean 'about'?",
        chaos: "Did you mean 'faults'?",
        slo: "Did you mean 'expect'?",
        expectations: "Did you mean 'expect'?",
      },
    },
  ),
  keys => ({
    about: keys.about ?? null,
    seed: keys.seed,
    durationMs: keys.duration,
    warmupMs: keys.warmup ?? Math.min(warmupDefaultMsMax, Math.round(keys.duration * warmupShare)),
    arrivals: keys.arrivals,
    clients: keys.clients,
    edges: keys.edges,
    sample: keys.sample,
    databases: keys.databases,
    faults: keys.faults,
    expect: keys.expect,
  }),
)

export const rehearsals: Schema<Record<string, ParsedRehearsal>> = mapOf(rehearsal, {
  about: 'What `tenfold simulate` plays through, by name; what runs never reads it.',
  names: "names such as 'blackFriday': letters, digits and -, at most 40, beginning with a letter",
  pattern: /^[A-Za-z](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?$/,
  entriesMax: 200,
})

export const fileTopology: CheckedTopology = {
  kind: 'file',
  writeCopies: 1,
  readCopies: 1,
  partition: 'refuse',
}

export function completeRehearsals(
  parsed: Readonly<Record<string, ParsedRehearsal>>,
  parts: Parts,
  found: Findings,
): Readonly<Record<string, CheckedRehearsal>> {
  if (parts.workload === undefined && Object.keys(parsed).length > 0)
    found.problems.push({
      code: fileFailures.conflict.code,
      path: 'rehearsals',
      message: 'need a workload, and the file has none',
      remedy: "Say what people do: workload: { actions: { home: { rate: '50/s' } } }.",
    })
  return Object.fromEntries(
    Object.entries(parsed).map(([name, one]) => [name, complete(name, one, parts, found)]),
  )
}

function complete(name: string, told: ParsedRehearsal, parts: Parts, found: Findings): CheckedRehearsal {
  const path = keyPath('rehearsals', name)
  const met = told.faults.map((fault, index): PlacedFault => {
    const key = `${path}.faults[${index}]`
    return { key, kind: fault.kind, faults: faultsOf(fault, told.edges, parts, key, found) }
  })
  const rehearsal = {
    name,
    ...told,
    databases: withFiles(told.databases, parts.databases),
    faults: met.flatMap(one => one.faults),
    expect: told.expect.flatMap(bound => expectationOf(bound, parts, `${path}.expect`, found)),
  }
  checkRehearsal(rehearsal, met, parts, path, found)
  return rehearsal
}

function withFiles(
  told: Readonly<Record<string, CheckedTopology>>,
  databases: Readonly<Record<string, CheckedDatabase>>,
): Readonly<Record<string, CheckedTopology>> {
  const missing = Object.keys(databases).filter(name => !Object.hasOwn(told, name))
  return { ...told, ...Object.fromEntries(missing.map(name => [name, fileTopology])) }
}
