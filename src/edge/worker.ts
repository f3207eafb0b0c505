// A worker thread: one EdgeWorker, told by the main thread what to do.

import { endAfterFaults, endThread, threadContext } from '../io/threads.ts'
import { EdgeWorker } from './edge-worker.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'

async function run(): Promise<void> {
  const { data, port } = threadContext<WorkerStart>()
  const worker = new EdgeWorker(data, message => port.postMessage(message))
  const cut = (): void => worker.cut()
  endAfterFaults(cut)
  await worker.listen(data.ports)
  port.postMessage({ kind: 'ready', version: data.snapshot.version } satisfies FromWorker)
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'drain') worker.drain(message.drainMs, message.idleMs)
    else if (message.kind === 'reopenLogs') worker.reopenLogs()
    else if (message.kind === 'die') endThread(cut)
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

await run()
