// What runs in a worker thread: one EdgeWorker, told by the main thread what to do. `worker.ts` is a thread without a
// guard; whoever composes an edge with one has a module of its own that calls this.

import { endAfterFaults, endThread, keepCompiled, threadContext } from '../io/threads.ts'
import { EdgeWorker } from './edge-worker.ts'
import type { WorkerGuardFactory } from './guard-port.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'

export async function runWorkerThread(createGuard: WorkerGuardFactory | null): Promise<void> {
  const { data, port } = threadContext<WorkerStart>()
  const worker = await EdgeWorker.create(data, message => port.postMessage(message), createGuard)
  const cut = (): void => worker.cut()
  endAfterFaults(cut)
  if (data.index === 0) keepCompiled()
  await worker.listen(data.ports)
  port.postMessage({ kind: 'ready', version: data.snapshot.version } satisfies FromWorker)
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'drain') worker.drain(message.drainMs, message.idleMs)
    else if (message.kind === 'reopenLogs') worker.reopenLogs()
    else if (message.kind === 'die') endThread(cut)
    else if (message.kind === 'guard') worker.guard?.hear(message.message)
    else if (message.kind === 'challenges') {
      worker.challenges = message.challenges
      port.postMessage({ kind: 'challenged', serial: message.serial } satisfies FromWorker)
    } else if (message.kind === 'certificates') {
      worker.takeTls(message.tls)
      port.postMessage({ kind: 'certified', serial: message.tls.serial } satisfies FromWorker)
    } else if (message.kind === 'cacheLook') {
      const { serial, url } = message
      void worker.cacheControl.look(url).then(look => port.postMessage({ kind: 'cacheLooked', serial, look }))
    } else if (message.kind === 'cachePush') {
      const { serial, request } = message
      void worker.cacheControl
        .push(request)
        .then(result => port.postMessage({ kind: 'cachePushed', serial, result }))
    } else {
      worker.takeTls(message.tls)
      void worker
        .apply(message.snapshot, message.slots, message.ports)
        .then(() =>
          port.postMessage({ kind: 'ready', version: message.snapshot.version } satisfies FromWorker),
        )
    }
  })
}
