// What the control API asks, answered by the running parts. Owns redaction on the way out; decides nothing.

import type { CanaryStatus } from '../edge/control-protocol.ts'
import type { Fleet, OutputLine } from '../fleet/index.ts'
import { throwWhenFailed } from './change.ts'
import type { Changes } from './changes.ts'
import type { CacheHandlers } from './control/cache-handlers.ts'
import type { DatabaseHandlers } from './control/database-handlers.ts'
import type { GuardHandlers } from './control/guard-handlers.ts'
import type { ControlHandlers } from './control/handlers.ts'
import type { LogLine, StatusView } from './control/views.ts'
import type { Events } from './events.ts'
import type { History } from './history.ts'
import type { MaintenanceWish } from './maintenance.ts'
import type { Redactor } from './redact.ts'
import { canaryView } from './status.ts'

export interface HandledSystem {
  readonly databases: DatabaseHandlers
  readonly caches: CacheHandlers
  readonly guard: GuardHandlers
  readonly events: Events
  readonly history: History
  readonly changes: Changes
  readonly redactor: Redactor
  /** Throws SYSTEM_BUSY while it is not there yet. */
  fleet(): Fleet
  /** The number of its instances was set by hand. */
  scaledByHand(service: string): void
  status(): Promise<StatusView>
  metrics(): Promise<string>
  hasService(name: string): boolean
  /** Another edge process takes over; a sentence about it. */
  rollEdge(): Promise<string>
  /** Null: all automatic certificates. Gives their hosts; throws when it can't begin. */
  renew(host: string | null): Promise<readonly string[]>
  /** Null: it stands up again. */
  standDown(reason: string | null): Promise<void>
  hasHealthListener(): boolean
  /** Null: it ends. */
  maintenance(wish: MaintenanceWish | null): Promise<void>
  canary(route: string, action: 'resume' | 'stop'): Promise<CanaryStatus>
  stop(options: { now: boolean; why: string }): void
}

export function controlHandlers(system: HandledSystem): ControlHandlers {
  const { events, history, changes, redactor, fleet } = system
  const logLine = ({ service, member, text }: OutputLine, at: string | null): LogLine => ({
    service,
    instance: member,
    at,
    text: redactor.text(text),
  })
  const queryOf = (service: string | undefined): { service?: string } =>
    service === undefined ? {} : { service }
  return {
    databases: system.databases,
    caches: system.caches,
    guard: system.guard,
    status: () => system.status(),
    ready: async () => (await system.status()).ready,
    metrics: () => system.metrics(),
    history: () => history.view(),
    scale: (service, instances) =>
      changes.exclusive(`scaling ${service}`, async () => {
        throwWhenFailed([await fleet().scale(service, instances)])
        system.scaledByHand(service)
        return { text: `${service} has ${instances} instance${instances === 1 ? '' : 's'}` }
      }),
    restart: (service, progress) => {
      if (service === 'edge' && !system.hasService('edge'))
        return changes.exclusive('replacing the edge', async () => {
          progress('edge', 'another process takes over')
          return { text: await system.rollEdge() }
        })
      return changes.exclusive(`restarting ${service}`, async () => {
        throwWhenFailed([await fleet().restart(service, text => progress(service, text))])
        return { text: `${service} was restarted` }
      })
    },
    drain: async member => {
      await fleet().drain(member)
      return { text: `${member} gets no new requests` }
    },
    undrain: async member => {
      await fleet().undrain(member)
      return { text: `${member} gets requests again` }
    },
    reload: ({ dryRun }, progress) => (dryRun ? changes.dryRun() : changes.reload(progress)),
    rollback: (number, progress) => changes.rollback(number, progress),
    renew: async (host, progress) => {
      const renewed = system.renew(host)
      progress('certificates', 'asking the authority')
      const hosts = await renewed
      return { text: `new certificates: ${hosts.join(', ')}` }
    },
    standDown: async reason => {
      await system.standDown(reason)
      if (system.hasHealthListener())
        return { text: 'stands down: health listeners say 503, everything is still served' }
      return {
        text: 'stands down, but nobody can hear of it: the file has no edge.health that keepalived or a balancer asks',
      }
    },
    standUp: async () => {
      await system.standDown(null)
      return { text: 'stands up: health listeners say again how the edge is' }
    },
    maintenanceOn: async wish => {
      await system.maintenance(wish)
      return { text: 'under maintenance: clients get 503 and a page until `tenfold maintenance off`' }
    },
    maintenanceOff: async () => {
      await system.maintenance(null)
      return { text: 'the maintenance is over' }
    },
    canaries: async () => ({ canaries: (await system.status()).edge.canaries }),
    canary: async (route, action) => canaryView(await system.canary(route, action)),
    stop: ({ now }) => {
      // After the answer is on its way: the control API is one of the parts that stop.
      setImmediate(() => system.stop({ now, why: 'asked for by `tenfold stop`' }))
      return { text: now ? 'stopping at once' : 'draining and stopping' }
    },
    latestLogs: async ({ service, lines }) => {
      const latest = await fleet().lastOutput({ ...queryOf(service), lines })
      return latest.map(line => logLine(line, null))
    },
    followLogs: ({ service }, onLine) =>
      fleet().followOutput(queryOf(service), line => onLine(logLine(line, new Date().toISOString()))),
    followEvents: onEvent => events.follow(onEvent),
  }
}
