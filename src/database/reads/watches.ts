// Whom the planner watches: the primary and each replica of the topology, with connections that follow it. Tells what
// opens, moves and is lost; what that means is the planner's.

import { ReplicaStanding } from '../../policy/replica.ts'
import type { RoutedDatabase } from '../router/snapshot.ts'
import type { ReadPlannerOptions } from './contract.ts'
import type { LinkTarget } from './link.ts'
import { PrimaryWatch } from './primary-watch.ts'
import { ReplicaWatch } from './replica-watch.ts'

export interface WatchesHeard {
  /** Another primary, or another life of it. `lossy`: it acknowledges commits before it flushes them. */
  primaryOpened(lossy: boolean): void
  replicaMoved(standing: ReplicaStanding): void
  /** A connection is gone, and with it what was known through it. */
  lost(): void
}

export class Watches {
  /** Null: there is none. */
  primary: PrimaryWatch | null = null
  readonly replicas: Map<string, ReplicaWatch> = new Map()
  readonly #options: ReadPlannerOptions
  readonly #heard: WatchesHeard

  constructor(options: ReadPlannerOptions, heard: WatchesHeard) {
    this.#options = options
    this.#heard = heard
  }

  /** `anew`: another epoch; the primary's connection is not believed any more, wherever it leads. */
  follow(database: RoutedDatabase, anew: boolean): void {
    const { primary, servers } = database
    const server = primary === null ? undefined : servers.find(one => one.id === primary)
    const target = server === undefined ? null : targetOf(database, server)
    const same = target !== null && this.primary !== null && sameTarget(target, this.primary.link.target)
    if (anew || !same) this.#watchPrimary(database, target)
    this.#watchReplicas(database)
  }

  close(): void {
    this.primary?.close()
    for (const watch of this.replicas.values()) watch.close()
  }

  #watchPrimary(database: RoutedDatabase, target: LinkTarget | null): void {
    this.primary?.close()
    this.primary = null
    if (target === null) return
    const { clock, random, log } = this.#options
    const { name, primary } = database
    const watch: PrimaryWatch = new PrimaryWatch({
      target,
      clock,
      random,
      timelineMin: database.timeline,
      distrusted: timeline =>
        log.warn(
          { database: name, timeline },
          `database ${name}: ${primary} is on timeline ${timeline}, the cluster on ${database.timeline}; what it says about positions is not believed, and reads that must be fresh go to the primary`,
        ),
      opened: (_, lossy) => this.#heard.primaryOpened(lossy),
      lost: () => {
        if (watch === this.primary) this.#heard.lost()
      },
    })
    this.primary = watch
  }

  #watchReplicas(database: RoutedDatabase): void {
    const { servers, primary, weights } = database
    const wanted = new Map(
      servers.filter(one => one.id !== primary && one.role === 'replica').map(one => [one.id, one]),
    )
    for (const [id, watch] of this.replicas) {
      const server = wanted.get(id)
      if (server !== undefined && sameTarget(targetOf(database, server), watch.link.target)) continue
      watch.close()
      this.replicas.delete(id)
    }
    for (const [id, server] of wanted) {
      const watch = this.replicas.get(id) ?? this.#watchReplica(id, targetOf(database, server))
      watch.standing.weight = weights[id] ?? 1
      watch.standing.delayed = server.delayMs > 0
      watch.standing.ready = server.state === 'ready'
      watch.link.hurry()
    }
  }

  #watchReplica(id: string, target: LinkTarget): ReplicaWatch {
    const { clock, random } = this.#options
    const watch: ReplicaWatch = new ReplicaWatch({
      standing: new ReplicaStanding(id),
      target,
      clock,
      random,
      opened: () => watch.poll(clock.monotonic()),
      moved: standing => this.#heard.replicaMoved(standing),
      lost: () => this.#heard.lost(),
    })
    this.replicas.set(id, watch)
    return watch
  }
}

function targetOf(
  { database, monitor, serverTls }: RoutedDatabase,
  { host, port }: { readonly host: string; readonly port: number },
): LinkTarget {
  return { host, port, database, user: monitor.user, password: monitor.password, tls: serverTls }
}

function sameTarget(one: LinkTarget, other: LinkTarget): boolean {
  return (
    one.host === other.host &&
    one.port === other.port &&
    one.database === other.database &&
    one.user === other.user &&
    one.password === other.password &&
    one.tls.mode === other.tls.mode &&
    one.tls.caFile === other.tls.caFile
  )
}
