// What the control API needs of the running system: one function an operation. The server declares it, the supervisor
// fits it. Types only.

import type { MaintenanceWish } from '../maintenance.ts'
import type { CacheHandlers } from './cache-handlers.ts'
import type { DatabaseHandlers } from './database-handlers.ts'
import type { GuardHandlers } from './guard-handlers.ts'
import type {
  AcceptedView,
  CanariesView,
  CanaryView,
  ChangeView,
  HistoryView,
  LogLine,
  StatusView,
  SystemEvent,
} from './views.ts'

/** Tells one step of a long operation. */
export type Progress = (subject: string, text: string) => void

export interface OperationResult {
  readonly text: string
  readonly changes?: readonly ChangeView[]
  readonly findings?: readonly string[]
}

/** Rejections that are a `Failure` reach the client with their code; anything else is a fault and answers 500. */
export interface ControlHandlers {
  readonly databases: DatabaseHandlers
  readonly caches: CacheHandlers
  readonly guard: GuardHandlers

  status(): Promise<StatusView>
  ready(): Promise<boolean>
  metrics(): Promise<string>
  history(): HistoryView
  scale(service: string, instances: number, progress: Progress): Promise<OperationResult>
  restart(service: string, progress: Progress): Promise<OperationResult>
  drain(member: string): Promise<AcceptedView>
  undrain(member: string): Promise<AcceptedView>
  reload(options: { dryRun: boolean }, progress: Progress): Promise<OperationResult>
  /** `null`: the system before the current one. */
  rollback(number: number | null, progress: Progress): Promise<OperationResult>
  /** Begins to stop and answers; the process ends later. */
  renew(host: string | null, progress: Progress): Promise<OperationResult>
  standDown(reason: string): Promise<AcceptedView>
  standUp(): Promise<AcceptedView>
  maintenanceOn(wish: MaintenanceWish): Promise<AcceptedView>
  maintenanceOff(): Promise<AcceptedView>
  canaries(): Promise<CanariesView>
  canary(route: string, action: 'resume' | 'stop'): Promise<CanaryView>
  stop(options: { now: boolean }): AcceptedView
  latestLogs(query: { service: string | undefined; lines: number }): Promise<readonly LogLine[]>
  /** Calls back until the returned function is called. */
  followLogs(query: { service: string | undefined }, onLine: (line: LogLine) => void): () => void
  followEvents(onEvent: (event: SystemEvent) => void): () => void
}
