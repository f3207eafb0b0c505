// The supervisor's own log: JSON lines in STATE/logs/tenfold.log, for later questions. What people watch is told through
// events.ts. Rotation is log-keeper.ts's.

import { pino } from 'pino'

export interface SystemLog {
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  error(fields: object, sentence: string): void
  close(): void
}

export function openSystemLog(file: string): SystemLog {
  // Synchronous: a line that is written down before a crash is what the log is for, and there are few.
  const destination = pino.destination({ dest: file, append: true, mkdir: true, sync: true, mode: 0o600 })
  const log = pino({ base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  return {
    info: (fields, sentence) => log.info(fields, sentence),
    warn: (fields, sentence) => log.warn(fields, sentence),
    error: (fields, sentence) => log.error(fields, sentence),
    close: () => destination.end(),
  }
}
