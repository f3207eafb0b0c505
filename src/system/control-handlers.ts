// What the control API asks, answered by the running parts. Owns redaction on the way out; decides nothing.

import type { Fleet, OutputLine } from '../fleet/index.ts'
import { throwWhenFailed } from './change.ts'
import type { Changes } from './changes.ts'
import type { ControlHandlers } from './control/handlers.ts'
import type { LogLine, StatusView } from './control/views.ts'
import type { Events } from './events.ts'
import type { History } from './history.ts'
import type { Redactor } from './redact.ts'

export interface HandledSystem {
  readonly events: Events
  readonly history: History
  readonly changes: Changes
  readonly redactor: Redactor
  /** Throws SYSTEM_BUSY while it is not there yet. */
  fleet(): Fleet
  status(): Promise<StatusView>
  metrics(): Promise<string>
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
    status: () => system.status(),
    ready: async () => (await system.status()).ready,
    metrics: () => system.metrics(),
    history: () => history.view(),
    scale: (service, instances) =>
      changes.exclusive(`scaling ${service}`, async () => {
        throwWhenFailed([await fleet().scale(service, instances)])
        return { text: `${service} has ${instances} instance${instances === 1 ? '' : 's'}` }
      }),
    restart: (service, progress) =>
      changes.exclusive(`restarting ${service}`, async () => {
        throwWhenFailed([await fleet().restart(service, text => progress(service, text))])
        return { text: `${service} was restarted` }
      }),
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
