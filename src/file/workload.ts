// The root of the key `workload`: what people do with the system, what that costs, and what is wanted. It gives the checked
// workload; completeWorkload adds the parts of the file that it does not name, and what was said as opposed to assumed.

import type { CheckedSystem } from './checked.ts'
import type { CheckedWorkload } from './checked-workload.ts'
import { instant, instantText } from './guard-rooms.ts'
import { longTime, wideShare } from './load-values.ts'
import { isObject, type Json, keyPath } from './plain.ts'
import { defined, into, mapOf, strict } from './shapes.ts'
import { decimal, Refused, type Schema, text } from './values.ts'
import { actionLoad } from './workload-actions.ts'
import {
  cacheLoad,
  databaseLoad,
  machine,
  networkLoad,
  partsOf,
  serviceLoad,
  targets,
} from './workload-parts.ts'

/** The name by which a workload calls the cache of the edge. */
export const edgeCacheName = 'edge'

const workloadKeys = {
  dailyUsers: decimal(
    'People who use the system on a day. Left out: actions say their `rate`.',
    1,
    100_000_000_000,
  ).optional(),
  reads: actionLoad('What people look at: one kind of request.', 'read').optional(),
  writes: actionLoad('What people add or change: one kind of request.', 'write').optional(),
  actions: mapOf(actionLoad('One kind of request.', null), {
    about: 'Further kinds of requests by name.',
    names: "names such as 'search': letters, digits and -, at most 40, beginning with a letter",
    pattern: /^[A-Za-z](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?$/,
    entriesMax: 200,
  }).optional(),
  peak: decimal('The rate at the busiest time of a day over the mean of the day.', 1, 1000).prefault(3),
  growth: wideShare("Growth a year: '50%' is half as much again each year.", -0.9, 100).prefault(0),
  retention: longTime('How long what is stored is kept. Left out: for ever.', '1s', '1000y').optional(),
  services: partsOf(serviceLoad, 'What a request costs, by service.', 200).prefault({}),
  databases: partsOf(databaseLoad, 'What statements cost, by database.', 20).prefault({}),
  caches: partsOf(cacheLoad, 'What caches do, by cache; `edge` is the one of the edge.', 21).prefault({}),
  network: networkLoad.prefault({}),
  machine: machine.prefault({}),
  targets: targets.prefault({}),
  calibrated: strict(
    {
      at: instant('When it measured.'),
      machine: text('The machine it measured on.', 'a description of the machine', { lengthMax: 200 }),
    },
    { about: 'Written by `tenfold calibrate`: when and where the times were measured.' },
  ).optional(),
}

/** A workload before the parts that it does not name are added. */
export type ParsedWorkload = Omit<CheckedWorkload, 'said'>

export const workload: Schema<ParsedWorkload> = into(
  strict(workloadKeys, {
    about:
      'What people do with the system, what that costs, and what is wanted: what `tenfold plan` and `tenfold simulate` go by. What runs never reads it.',
    elsewhere: {
      users: "Did you mean 'dailyUsers'?",
      dau: "Did you mean 'dailyUsers'?",
      read: "Did you mean 'reads'?",
      write: "Did you mean 'writes'?",
      requests: "Write actions: { NAME: { rate: '50/s' } }.",
      rps: "Write actions: { NAME: { rate: '50/s' } }.",
      machines: "Did you mean 'machine'?",
      slo: "Did you mean 'targets'?",
      latency: "Did you mean 'network'?",
    },
  }),
  (keys): ParsedWorkload | Refused => {
    const { reads, writes, dailyUsers, calibrated } = keys
    const twice = ['reads', 'writes'].find(name => keys.actions && Object.hasOwn(keys.actions, name))
    if (twice !== undefined)
      return new Refused(
        `has '${twice}' under 'actions'`,
        `Write '${twice}' beside 'actions', or call it otherwise.`,
      )
    const actions = defined({ reads, writes, ...keys.actions }) as CheckedWorkload['actions']
    const all = Object.entries(actions)
    if (all.length === 0)
      return new Refused(
        'has no requests',
        "Write reads: { perUser: 10 }, or actions: { home: { rate: '50/s' } }.",
      )
    const byUser = all.find(([, one]) => one.perUser !== null)
    if (byUser && dailyUsers === undefined)
      return new Refused(
        `has 'perUser' in '${byUser[0]}' and no 'dailyUsers'`,
        "Write 'dailyUsers', or a 'rate'.",
      )
    if (!byUser && dailyUsers !== undefined)
      return new Refused(
        "has 'dailyUsers', and no action goes by them",
        "Write 'perUser' in an action, or leave it out.",
      )
    return {
      dailyUsers: dailyUsers ?? null,
      actions,
      peakFactor: keys.peak,
      growthPerYear: keys.growth,
      retentionMs: keys.retention ?? null,
      services: keys.services,
      databases: keys.databases,
      caches: keys.caches,
      network: keys.network,
      machine: keys.machine,
      targets: keys.targets,
      calibrated: calibrated ? { at: instantText(calibrated.at), machine: calibrated.machine } : null,
    }
  },
)

type Parts = Pick<CheckedSystem, 'services' | 'databases' | 'caches'> & { readonly edgeCache: boolean }

/** Every part of the file has its entry: what is not said is assumed. `data` is the workload as written. */
export function completeWorkload(
  parsed: ParsedWorkload,
  parts: Parts,
  data: Json | undefined,
): CheckedWorkload {
  const caches = [...Object.keys(parts.caches), ...(parts.edgeCache ? [edgeCacheName] : [])]
  return {
    ...parsed,
    services: withDefaults(parsed.services, Object.keys(parts.services), serviceLoad),
    databases: withDefaults(parsed.databases, Object.keys(parts.databases), databaseLoad),
    caches: withDefaults(parsed.caches, caches, cacheLoad),
    said: saidIn(data, '').toSorted(),
  }
}

function withDefaults<T>(
  told: Readonly<Record<string, T>>,
  names: readonly string[],
  schema: Schema<T>,
): Readonly<Record<string, T>> {
  const missing = names.filter(name => !Object.hasOwn(told, name))
  return { ...told, ...Object.fromEntries(missing.map(name => [name, schema.parse({})])) }
}

/** A law may be written in several ways, so that keys below it say nothing. */
export const isLaw = (path: string): boolean =>
  /^(?:services\.[^.]+\.time|databases\.[^.]+\.(?:read|write|apply|shipping)|network\.\w+)$/.test(path)

/** Paths of all keys that were written, outer ones too: `services`, `services.api`, `services.api.time`. */
function saidIn(data: Json | undefined, path: string): string[] {
  if (!isObject(data) || isLaw(path)) return []
  return Object.entries(data).flatMap(([key, value]) => {
    const inner = keyPath(path, key)
    return [inner, ...saidIn(value, inner)]
  })
}
