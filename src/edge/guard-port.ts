// What the edge needs of a guard, which decides who may pass: gates of routes, a word on each connection, a step on
// answers, an answer to its own paths. Whoever composes the edge process hands one in (`system`); without one nothing
// of this costs anything. What the two sides of a guard (main thread, workers) say to each other is theirs.

import type { ThreadPlace } from '../io/threads.ts'
import type { Metrics } from '../kit/metrics.ts'
import type { ImportanceCode } from '../policy/shed/index.ts'
import type { CompiledAction } from './action.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { ClientFailure } from './failures.ts'
import type { Gate } from './gate.ts'
import type { ResponseStep } from './response-sink.ts'
import type { EdgeSnapshot, RouteSpec } from './snapshot.ts'

/** The guard's own of one exchange. */
export interface Visit {
  /** Before the exchange forgets everything; its status, bytes and addresses are still there. */
  over(exchange: Exchange, aborted: boolean): void
  /** What the request is worth where not all can be served; asked when it wants a place. Absent: normal. */
  readonly importance?: ImportanceCode
  /** It was refused for that: a sentence, for who explains it. */
  shed?(refusal: ClientFailure, why: string): void
  /** What was to look at a held body has thrown. True: it has decided; else `exchange.refusal` says what the client is told. */
  failed(exchange: Exchange, error: unknown): boolean
}

/** In each worker thread. */
export interface WorkerGuard {
  /** Loads what this snapshot needs; before it is compiled. */
  prepare(snapshot: EdgeSnapshot): Promise<void>
  /** Does it want to know of connections at all? Those that begin while it does not are never asked about. */
  readonly looksAtConnections: boolean
  /** Of a client, as the connection or a PROXY header says. -1: it is closed unanswered. Else what `connectionClosed` is told, once. */
  connectionOpened(address: string): number
  connectionClosed(token: number): void
  /** Does any route look at how clients begin TLS? Then their first bytes are read before the handshake. */
  readonly wantsHello: boolean
  /** Before the routes are looked at. */
  doors(snapshot: EdgeSnapshot): readonly Gate[]
  /** Of a route; after CORS, before anything that costs more. */
  gates(route: RouteSpec, snapshot: EdgeSnapshot): readonly Gate[]
  /** Between the instance's answer and what the route does with it; null: nothing. */
  step(route: RouteSpec, snapshot: EdgeSnapshot, behind: ResponseStep | null): ResponseStep | null
  /** Of routes whose action has the kind `guard`: the guard's own pages. */
  action(route: RouteSpec): CompiledAction
  /** From the main thread. */
  hear(message: unknown): void
  /** The thread is about to end in good order. */
  close(): Promise<void>
}

export type WorkerGuardFactory = (
  worker: WorkerContext,
  memory: unknown,
  send: (message: unknown) => void,
) => WorkerGuard

/** In the edge process' main thread. */
export interface MainGuard {
  /** Structured-cloneable; handed to each worker that starts. */
  readonly memory: unknown
  /** Before workers get it. Throws a Failure when it can't work. */
  take(snapshot: EdgeSnapshot): Promise<void>
  heard(worker: number, message: unknown): void
  /** What it held in shared memory is given back. */
  workerDied(worker: number): void
  /** From the supervisor (`guard` of the control protocol). */
  ask(question: unknown): Promise<unknown>
  register(metrics: Metrics): void
  close(): Promise<void>
}

export interface MainGuardSurroundings {
  readonly stateDirectory: string
  readonly workers: number
  /** To every worker, or one. */
  send(message: unknown, worker?: number): void
  /** A decision worth telling a person about. */
  tell(subject: string, text: string): void
}

/** How a process gets its guard: the module of its worker threads, and the part in the main thread. */
export interface GuardSeam {
  readonly thread: ThreadPlace
  createMain(surroundings: MainGuardSurroundings): MainGuard
}
