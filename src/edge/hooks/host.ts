// Calls the hooks of one module from one worker of the edge: keeps a thread that runs them, bounds every call by its
// deadline, and replaces the thread when it dies, does not come back, or leaves calls unanswered. No promise, no request
// waits longer than its deadline once the thread has it.
//
// A thread is starting -> ready -> (leaving) -> over. `ready`: it gets calls, at most `windowMax` at once. `leaving`: a
// hook was past its deadline while the thread's loop still turned; its successor is ready, and it ends with the last call
// that it has. A thread whose loop does not turn is ended at once. Calls that an ended thread had begun have failed: they
// are never run twice. Those that it had not begun go to the next.

import { startGuardedThread, type Worker } from '../../io/threads.ts'
import type { WorkerContext } from '../context.ts'
import { type ClientFailure, clientFailures } from '../failures.ts'
import type { FromHookThread, HookThreadStart, RequestParts, ToHookThread } from './messages.ts'

export interface HookCall {
  readonly name: string
  readonly request: RequestParts
  readonly response: { readonly status: number; readonly fields: readonly string[] } | null
  readonly deadlineMs: number
  /** Row of the route in the worker's cells. */
  readonly row: number
  /** Once: what the hook gave back, not judged yet, or what went wrong. Null: nobody wants to know any more. */
  done: ((reply: unknown, failure: ClientFailure | null) => void) | null
}

interface SentCall {
  readonly call: HookCall
  readonly id: number
  readonly sentAt: number
  readonly timer: NodeJS.Timeout
}

interface HookThread {
  readonly worker: Worker
  readonly progress: Int32Array
  readonly startedAt: number
  state: 'starting' | 'ready' | 'over'
  leaving: boolean
  readonly sent: Map<number, SentCall>
  /** Begun, past their deadline, and still not answered. */
  readonly overdue: Set<number>
  nextId: number
  /** Bounds the start; then asks whether the loop turns. */
  timer: NodeJS.Timeout | null
}

const windowMax = 128
const waitingMax = 1_024
/** Late calls that a thread may still be at work on while it can't be replaced yet. */
const overdueMax = 1_024
const startMaxMs = 10_000
const graceMinMs = 50
const graceMaxMs = 1_000
const backoffBaseMs = 100
const backoffMaxMs = 10_000
/** A thread that lived this long makes the next trouble a first one again. */
const settledUs = 30_000_000
const threadLimits = { heapMb: 128, stackMb: 4 }
const toldAgainUs = 10_000_000
const toldMax = 32

export class HookHost {
  readonly #worker: WorkerContext
  readonly #module: string
  readonly #wanted = new Set<string>()
  #sources: HookThreadStart['sources'] = []
  #current: HookThread | null = null
  #next: HookThread | null = null
  #waiting: HookCall[] = []
  #strikes = 0
  #again: NodeJS.Timeout | null = null
  #resting = false
  readonly #told = new Map<string, number>()

  constructor(worker: WorkerContext, module: string) {
    this.#worker = worker
    this.#module = module
  }

  /** Some route uses this export: when it is not there, that is said as soon as the module is loaded. */
  wants(name: string): void {
    this.#wanted.add(name)
  }

  /** Begins to load the module, or no longer waits for calls: a thread that nobody uses ends. */
  rest(resting: boolean): void {
    this.#resting = resting
    if (!resting) this.#ensure()
    else this.#endIdle()
  }

  #endIdle(): void {
    if (this.#again !== null && this.#waiting.length === 0) {
      clearTimeout(this.#again)
      this.#again = null
    }
    const thread = this.#current
    if (thread === null || thread.sent.size > 0 || this.#waiting.length > 0) return
    this.#current = null
    this.#end(thread)
  }

  /** Null: `call.done` will be called, later. Else what the request is told at once. */
  call(call: HookCall): ClientFailure | null {
    if (this.#current === null && this.#again !== null) return this.#notTaken(call, clientFailures.hookFailed)
    if (this.#waiting.length >= waitingMax) return this.#notTaken(call, clientFailures.hookBusy)
    this.#waiting.push(call)
    this.#ensure()
    this.#pump()
    return null
  }

  #notTaken(call: HookCall, failure: ClientFailure): ClientFailure {
    const { routeWorker } = this.#worker.cells
    routeWorker.hookCalls[call.row]!++
    routeWorker.hookFailures[call.row]!++
    return failure
  }

  /** Told at most once in ten seconds in the same words. */
  tell(sentence: string): void {
    const { now } = this.#worker
    if (now - (this.#told.get(sentence) ?? -Infinity) < toldAgainUs) return
    if (this.#told.size >= toldMax) this.#told.clear()
    this.#told.set(sentence, now)
    this.#worker.tell(`hooks ${this.#module}`, sentence)
  }

  /** What a hook gave back can't be used. */
  countJunk(row: number, name: string, sentence: string): void {
    this.#worker.cells.routeWorker.hookFailures[row]!++
    this.tell(`${name} ${sentence}`)
  }

  // --- threads ------------------------------------------------------------------------------------------------

  #ensure(): void {
    if (this.#current === null && this.#again === null) this.#current = this.#start()
  }

  #start(): HookThread {
    const memory = new SharedArrayBuffer(4)
    const data: HookThreadStart = { module: this.#module, progress: memory, sources: this.#sources }
    const worker = startGuardedThread(import.meta.url, 'thread', data, threadLimits)
    const thread: HookThread = {
      worker,
      progress: new Int32Array(memory),
      startedAt: this.#worker.now,
      state: 'starting',
      leaving: false,
      sent: new Map(),
      overdue: new Set(),
      nextId: 1,
      timer: null,
    }
    thread.timer = setTimeout(
      () => this.#trouble(thread, `is not loaded after ${startMaxMs / 1000} s`),
      startMaxMs,
    )
    worker.on('message', (message: FromHookThread) => this.#heard(thread, message))
    worker.on('error', error => this.#trouble(thread, deathOf(error)))
    worker.on('exit', code => this.#trouble(thread, `ended its thread with exit code ${code}`))
    worker.unref()
    return thread
  }

  #heard(thread: HookThread, message: FromHookThread): void {
    if (thread.state === 'over' || typeof message !== 'object' || message === null) {
      if (message === 'pong' && thread.state === 'ready') this.#turns(thread)
      return
    }
    this.#worker.refresh()
    if ('id' in message) this.#answered(thread, message)
    else if ('ready' in message) this.#ready(thread, message)
    else if ('broken' in message) this.#trouble(thread, `can't be loaded: ${String(message.broken)}`)
  }

  #ready(
    thread: HookThread,
    {
      ready: names,
      sources,
    }: { readonly ready: readonly string[]; readonly sources: HookThreadStart['sources'] },
  ): void {
    if (thread.state !== 'starting') return
    this.#sources = sources
    this.#stopTimer(thread)
    thread.state = 'ready'
    for (const name of this.#wanted)
      if (!names.includes(name))
        this.tell(`has no function '${name}'; it exports ${names.join(', ') || 'none'}`)
    if (thread === this.#next) {
      this.#next = null
      const before = this.#current
      this.#current = thread
      if (before !== null) this.#leave(before)
    }
    this.#pump()
    if (this.#resting) this.#endIdle()
  }

  #leave(thread: HookThread): void {
    thread.leaving = true
    if (thread.sent.size === 0) this.#end(thread)
  }

  #end(thread: HookThread): void {
    thread.state = 'over'
    this.#stopTimer(thread)
    void thread.worker.terminate()
  }

  #stopTimer(thread: HookThread): void {
    if (thread.timer !== null) clearTimeout(thread.timer)
    thread.timer = null
  }

  /** The thread is of no use any more: what it had begun has failed, the rest goes to the next one. */
  #trouble(thread: HookThread, what: string): void {
    if (thread.state === 'over') return
    this.#worker.refresh()
    this.tell(what)
    this.#end(thread)
    const begun = thread.progress[0] as number
    const failed: SentCall[] = []
    const unbegun: HookCall[] = []
    for (const one of thread.sent.values()) {
      clearTimeout(one.timer)
      if (((one.id - begun) | 0) <= 0) failed.push(one)
      else if (one.call.done !== null) unbegun.push(one.call)
    }
    thread.sent.clear()
    this.#waiting.unshift(...unbegun)
    if (thread === this.#current || thread === this.#next) this.#replace(thread)
    for (const one of failed) this.#finish(one, null, clientFailures.hookFailed)
    this.#pump()
  }

  #replace(thread: HookThread): void {
    this.#countRestart()
    if (thread === this.#current) {
      this.#current = this.#next
      this.#next = null
    } else this.#next = null
    this.#strike(thread)
    const waitMs = this.#waitMs()
    if (this.#current !== null || (this.#resting && this.#waiting.length === 0)) return
    if (waitMs === 0) this.#current = this.#start()
    else {
      // Nobody waits for a thread that may never come up.
      for (const call of this.#waiting.splice(0))
        this.#settle(call, null, this.#notTaken(call, clientFailures.hookFailed))
      this.#after(waitMs)
    }
  }

  #countRestart(): void {
    const { cells, index } = this.#worker
    cells.worker.hookRestarts[index]!++
  }

  #strike(thread: HookThread): void {
    if (this.#worker.now - thread.startedAt > settledUs) this.#strikes = 0
    this.#strikes++
  }

  /** The first two troubles in a row cost nothing but the start. */
  #waitMs(): number {
    return this.#strikes <= 2
      ? 0
      : Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(this.#strikes - 3, 20))
  }

  #after(waitMs: number): void {
    this.#again = setTimeout(() => {
      this.#again = null
      this.#worker.refresh()
      if (this.#current === null) this.#ensure()
      else if (this.#next === null && this.#current.overdue.size > 0) this.#next = this.#start()
    }, waitMs)
    this.#again.unref()
  }

  // --- calls --------------------------------------------------------------------------------------------------

  #pump(): void {
    const thread = this.#current
    if (thread === null || thread.state !== 'ready') return
    while (this.#waiting.length > 0 && thread.sent.size < windowMax) {
      const call = this.#waiting.shift() as HookCall
      if (call.done !== null) this.#send(thread, call)
    }
  }

  #send(thread: HookThread, call: HookCall): void {
    const id = thread.nextId
    thread.nextId = (id + 1) | 0
    const timer = setTimeout(() => this.#late(thread, id), call.deadlineMs)
    thread.sent.set(id, { call, id, sentAt: this.#worker.now, timer })
    const { name, request, response } = call
    thread.worker.postMessage({ id, name, request, response } satisfies ToHookThread)
  }

  #answered(thread: HookThread, message: { id: number; error?: unknown; reply?: unknown }): void {
    thread.overdue.delete(message.id)
    const one = thread.sent.get(message.id)
    if (one === undefined) return
    thread.sent.delete(message.id)
    clearTimeout(one.timer)
    if ('error' in message) {
      this.tell(`${one.call.name} failed: ${String(message.error)}`)
      this.#finish(one, null, clientFailures.hookFailed)
    } else this.#finish(one, message.reply, null)
    this.#emptied(thread)
    this.#pump()
  }

  #emptied(thread: HookThread): void {
    if (thread.sent.size > 0) return
    if (thread.leaving) this.#end(thread)
    else if (this.#resting) this.#endIdle()
  }

  #finish(one: SentCall, reply: unknown, failure: ClientFailure | null): void {
    const { cells, now } = this.#worker
    const { row } = one.call
    cells.routeWorker.hookCalls[row]!++
    cells.hookLatency.record(row, now - one.sentAt)
    if (failure !== null) cells.routeWorker.hookFailures[row]!++
    if (failure === clientFailures.hookLate) cells.routeWorker.hooksLate[row]!++
    this.#settle(one.call, reply, failure)
  }

  #settle(call: HookCall, reply: unknown, failure: ClientFailure | null): void {
    const { done } = call
    call.done = null
    done?.(reply, failure)
  }

  #late(thread: HookThread, id: number): void {
    const one = thread.sent.get(id)
    if (one === undefined || thread.state === 'over') return
    this.#worker.refresh()
    thread.sent.delete(id)
    // One that was not begun waited for others: it says nothing about its own hook.
    const begun = ((id - (thread.progress[0] as number)) | 0) <= 0
    if (begun) thread.overdue.add(id)
    if (thread.overdue.size > overdueMax) {
      this.#finish(one, null, clientFailures.hookLate)
      this.#trouble(thread, `left ${thread.overdue.size} calls unanswered and was ended`)
      return
    }
    this.tell(`${one.call.name} gave no result within ${one.call.deadlineMs} ms`)
    this.#finish(one, null, clientFailures.hookLate)
    if (thread.state === 'ready' && thread.timer === null) this.#watch(thread, one.call.deadlineMs)
    this.#emptied(thread)
    this.#pump()
  }

  /** Does the loop of a thread with a late call turn at all? */
  #watch(thread: HookThread, deadlineMs: number): void {
    const before = thread.progress[0] as number
    thread.worker.postMessage('ping' satisfies ToHookThread)
    const graceMs = Math.min(graceMaxMs, Math.max(graceMinMs, deadlineMs))
    thread.timer = setTimeout(() => {
      thread.timer = null
      if (thread.state !== 'ready') return
      if (thread.progress[0] !== before) this.#watch(thread, deadlineMs)
      else
        this.#trouble(thread, `did not come back from a call within ${deadlineMs + graceMs} ms and was ended`)
    }, graceMs)
  }

  /** It turns: calls that are late and begun will not be waited for; another thread takes over. */
  #turns(thread: HookThread): void {
    this.#stopTimer(thread)
    if (thread.overdue.size === 0 || thread !== this.#current || this.#next !== null) return
    this.#countRestart()
    this.#strike(thread)
    const waitMs = this.#waitMs()
    if (waitMs === 0) this.#next = this.#start()
    else if (this.#again === null) this.#after(waitMs)
  }
}

function deathOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return `used more than ${threadLimits.heapMb} MB of memory and was ended`
  return `ended its thread: ${String(message ?? error).slice(0, 300)}`
}
