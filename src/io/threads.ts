// Worker threads of our own code: the same module runs from source (.ts) and from the published build (.js).

import { type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads'

export type { MessagePort }
export { Worker }

/** A thread that runs `name` beside the module `from` (its `import.meta.url`). */
export function startThread(from: string, name: string, data: unknown): Worker {
  const extension = from.endsWith('.ts') ? '.ts' : '.js'
  return new Worker(new URL(`./${name}${extension}`, from), { workerData: data })
}

/** Inside a thread: what it was started with, and the way back. */
export function threadContext<Data>(): { data: Data; port: MessagePort } {
  if (parentPort === null) throw new Error('not in a worker thread')
  return { data: workerData as Data, port: parentPort }
}
