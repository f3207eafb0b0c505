// One running system becomes another without a request lost: the order in which databases, fleet and edge learn of it, and
// the way back when a step fails. It loads and checks nothing; what it is given is right.

import { type CheckedSystem, parentName } from '../file/index.ts'
import type { Fleet, ServiceReport, ServiceSpec } from '../fleet/index.ts'
import type { GuardSpec } from '../guard/part.ts'
import { Failure } from '../kit/failure.ts'
import type { CompiledDatabase } from './compile-databases.ts'
import type { Databases } from './databases.ts'
import type { EdgeFiles } from './edge-files.ts'
import { remedyOf, systemFailures } from './failures.ts'
import type { Publisher } from './publisher.ts'

/** A checked system with what the fleet runs for it, and what stands in the files that it names. */
export interface Compiled {
  readonly system: CheckedSystem
  readonly specs: readonly ServiceSpec[]
  readonly databases: readonly CompiledDatabase[]
  readonly files: EdgeFiles
  readonly guard: GuardSpec | null
}

export interface ChangeParts {
  readonly fleet: Pick<Fleet, 'apply'>
  readonly publisher: Pick<Publisher, 'replace'>
  readonly databases: Pick<Databases, 'bring' | 'settle'>
}

/**
 * Rejects with SYSTEM_RELOAD_FAILED after everything is as it was. In between, routes lead only to services that run:
 * new services are ready before the first request can be routed to them, old ones stop after the last one could. A new
 * database takes writes before the first service that gets its URL starts, an old one stops after the last.
 */
export async function changeSystem(
  { fleet, publisher, databases }: ChangeParts,
  from: Compiled,
  to: Compiled,
  step: (sentence: string) => void,
): Promise<void> {
  const both = unionOf(from, to)
  const database = (name: string, text: string): void => step(`database ${name}: ${text}`)
  try {
    await databases.bring(both.databases, database)
    await publisher.replace(both)
    step('starting what is new, replacing what has changed')
    throwWhenFailed((await fleet.apply(both.specs)).services)
    step('routing by the new file')
    await publisher.replace(to)
  } catch (cause) {
    step('going back to what ran before')
    await publisher.replace(from)
    await fleet.apply(from.specs)
    await databases.bring(from.databases, database)
    await databases.settle(from.databases, database)
    throw reloadFailed(cause)
  }
  if (both.specs.length !== to.specs.length) step('stopping what is gone')
  await fleet.apply(to.specs)
  await databases.settle(to.databases, database)
}

/** Everything of both; where both have a service, the new one's settings. Routes and listeners are the old ones. */
function unionOf(from: Compiled, to: Compiled): Compiled {
  const kept = from.specs.filter(spec => to.specs.every(one => one.name !== spec.name))
  return {
    system: {
      ...to.system,
      edge: from.system.edge,
      services: { ...from.system.services, ...to.system.services },
    },
    specs: [...to.specs, ...kept],
    databases: [
      ...to.databases,
      ...from.databases.filter(one => to.databases.every(other => other.spec.name !== one.spec.name)),
    ],
    files: from.files,
    // Routes are the old ones, and so are their policies.
    guard: from.guard,
  }
}

/** Throws one failure that tells of each service that did not come up; the fleet's own when there is only one. */
export function throwWhenFailed(reports: readonly ServiceReport[]): void {
  const failed = reports.filter(
    report => (report.outcome === 'failed' || report.outcome === 'kept') && !isParent(report.service),
  )
  if (failed.length === 0) return
  const failures = failed.flatMap(report => report.failures)
  const [first] = failures
  if (first === undefined) {
    const names = failed.map(report => report.service).join(', ')
    throw new Failure(systemFailures.startFailed, `Did not become ready: ${names}.`)
  }
  const sentences = [...new Set(failures.map(failure => failure.message))]
  const kinds = new Set(failures.map(failure => failure.code))
  throw new Failure(kinds.size === 1 ? first.kind : systemFailures.startFailed, sentences.join('\n'), {
    details: { remedy: remedyOf(first) },
    cause: first,
  })
}

/** Without it services are asked themselves: nothing waits for it. */
export const isParent = (service: string): boolean => service === parentName

function reloadFailed(cause: unknown): Failure {
  const remedy = cause instanceof Failure ? { details: { remedy: remedyOf(cause) } } : {}
  return new Failure(
    systemFailures.reloadFailed,
    `Not applied; what ran before runs on. ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause, ...remedy },
  )
}
