// Worker threads of our own code: the same module runs from source (.ts) and from the published build (.js).

import { flushCompileCache, getCompileCacheDir } from 'node:module'
import { type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads'

export type { MessagePort }
export { Worker }

/** Where the module of a thread lies: `name`, beside the module `from` (its `import.meta.url`). */
export interface ThreadPlace {
  readonly from: string
  readonly name: string
}

export function threadPlace(from: string, name: string): ThreadPlace {
  return { from, name }
}

/** A thread that runs `name` beside the module `from` (its `import.meta.url`). */
export function startThread(from: string, name: string, data: unknown): Worker {
  const extension = from.endsWith('.ts') ? '.ts' : '.js'
  return new Worker(new URL(`./${name}${extension}`, from), { workerData: data, env: withCompileCache() })
}

/** Node gives a thread the process's cache of compiled modules by the environment only. */
function withCompileCache(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir()
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: folder }
}

/** What this thread has compiled is there for the next process, even if this one is killed. Nothing where there is no cache. */
export function keepCompiled(): void {
  if (getCompileCacheDir() !== undefined) flushCompileCache()
}

export interface ThreadLimits {
  /** Of its JavaScript heap; beyond it the thread ends. */
  readonly heapMb: number
  readonly stackMb: number
}

/** As `startThread`, for code that is not ours: bounded memory, and of this process's environment only how to show text. */
export function startGuardedThread(from: string, name: string, data: unknown, limits: ThreadLimits): Worker {
  const extension = from.endsWith('.ts') ? '.ts' : '.js'
  const { TZ, LANG, NODE_ENV } = process.env
  const env = Object.fromEntries(
    Object.entries({ TZ, LANG, NODE_ENV }).filter(([, value]) => value !== undefined),
  ) as NodeJS.ProcessEnv
  return new Worker(new URL(`./${name}${extension}`, from), {
    workerData: data,
    argv: [],
    env,
    resourceLimits: {
      maxOldGenerationSizeMb: limits.heapMb,
      maxYoungGenerationSizeMb: Math.ceil(limits.heapMb / 8),
      stackSizeMb: limits.stackMb,
    },
  })
}

/** Inside a thread: what it was started with, and the way back. */
export function threadContext<Data>(): { data: Data; port: MessagePort } {
  if (parentPort === null) throw new Error('not in a worker thread')
  return { data: workerData as Data, port: parentPort }
}

/**
 * Inside a thread that serves HTTP/2: a fault ends it after the callbacks of this turn, and after `cut` has closed what
 * sessions read from. While a thread ends, nghttp2 reads on and can't call JavaScript any more, and Node's assertion on
 * its next stream (`onread->IsFunction()`, 26.10) aborts the whole process with all its threads. `Worker.terminate`
 * gives no chance to prevent that.
 */
export function endAfterFaults(cut: () => void): void {
  let faulted = false
  process.setUncaughtExceptionCaptureCallback(error => {
    if (faulted) return
    faulted = true
    setImmediate(() => {
      cut()
      process.setUncaughtExceptionCaptureCallback(null)
      throw error
    })
  })
}

/** Inside such a thread: ends it as a fault does, without one. */
export function endThread(cut: () => void): void {
  setImmediate(() => {
    cut()
    process.exit(1)
  })
}
