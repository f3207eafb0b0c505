// What happens, told once: to whoever follows (the terminal, the control API), to the last-50 list that status shows, and
// to the supervisor's log. It decides nothing; secrets are redacted on the way in.

import type { SystemEvent, SystemEventKind } from './control/views.ts'

const latestMax = 50

export interface EventLog {
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
}

export interface Events {
  tell(kind: SystemEventKind, subject: string, text: string): void
  /** Decisions, warnings and reloads; oldest first. */
  latest(): readonly SystemEvent[]
  /** Calls back until the returned function is called. A follower that throws is dropped. */
  follow(onEvent: (event: SystemEvent) => void): () => void
}

export function createEvents(log: EventLog, redact: (text: string) => string): Events {
  const followers = new Set<(event: SystemEvent) => void>()
  let latest: SystemEvent[] = []
  return {
    tell: (kind, subject, text) => {
      const event: SystemEvent = { at: new Date().toISOString(), kind, subject, text: redact(text) }
      if (kind !== 'progress') latest = [...latest, event].slice(-latestMax)
      log[kind === 'warning' ? 'warn' : 'info']({ kind, subject }, event.text)
      for (const follower of followers) {
        try {
          follower(event)
        } catch (cause) {
          followers.delete(follower)
          log.warn({ subject: 'events' }, `a follower of events failed: ${String(cause)}`)
        }
      }
    },
    latest: () => latest,
    follow: onEvent => {
      followers.add(onEvent)
      return () => followers.delete(onEvent)
    },
  }
}
