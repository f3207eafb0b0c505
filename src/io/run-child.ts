// One short-lived child process, run to its end: bounded in time and in what is kept of its output, with a channel of
// its own (file descriptor 3) that its console can't disturb. It never leaves a process behind: the child leads its own
// process group, and the group is killed when the child ends, when time is up, and when this process exits.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

export interface RunChildOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
  /** Kept of stdout and of stderr, each; the rest is thrown away. */
  readonly outputBytesMax: number
  /** More than this on the channel ends the child. */
  readonly channelBytesMax: number
  /** Runs it as this user; ourselves unless told. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

export interface ChildOutcome {
  readonly ended: 'exit' | 'timeout' | 'channel-full'
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** All that the child wrote to file descriptor 3. */
  readonly channel: string
  readonly stdout: string
  readonly stderr: string
}

// What is still in the pipes when the child has exited arrives at once; a grandchild that holds them open does not count.
const drainMs = 200

/** Resolves when the child has ended; rejects only when it could not be started. */
export function runChild(options: RunChildOptions): Promise<ChildOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(options.command, options.args, {
      cwd: options.directory,
      env: options.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
      ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
    })
    const [, out, err, channelPipe] = child.stdio as unknown as [null, Readable, Readable, Readable]
    let ended: ChildOutcome['ended'] = 'exit'
    const end = (why: ChildOutcome['ended']): void => {
      ended = why
      killGroup(child)
    }
    const timer = setTimeout(end, options.timeoutMs, 'timeout')
    const stdout = collect(out, options.outputBytesMax)
    const stderr = collect(err, options.outputBytesMax)
    const channel = collect(channelPipe, options.channelBytesMax, () => end('channel-full'))
    const killAtExit = (): void => killGroup(child)
    process.once('exit', killAtExit)
    const release = (): void => {
      clearTimeout(timer)
      process.removeListener('exit', killAtExit)
    }

    child.once('error', error => {
      release()
      reject(error)
    })
    child.once('exit', (exitCode, signal) => {
      release()
      killGroup(child)
      const pipes = [stdout, stderr, channel]
      const drained = setTimeout(() => {
        for (const one of pipes) one.close()
      }, drainMs)
      void Promise.all(pipes.map(one => one.closed)).then(() => {
        clearTimeout(drained)
        resolve({
          ended,
          exitCode,
          signal,
          channel: channel.text(),
          stdout: stdout.text(),
          stderr: stderr.text(),
        })
      })
    })
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: nobody is left in the group.
  }
}

interface Collected {
  readonly closed: Promise<void>
  close(): void
  text(): string
}

function collect(stream: Readable, bytesMax: number, whenFull?: () => void): Collected {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    const room = bytesMax - bytes
    bytes += chunk.length
    if (room > 0) chunks.push(chunk.subarray(0, room))
    if (bytes > bytesMax) whenFull?.()
  })
  // A pipe that breaks has simply ended.
  stream.on('error', () => {})
  return {
    closed: new Promise(resolve => stream.once('close', () => resolve())),
    close: () => stream.destroy(),
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}
