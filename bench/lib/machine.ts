// What the figures were measured on: they mean nothing without it.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** First line of what a program says about its version; undefined when it is not there. */
export function versionOf(program: string, args: readonly string[]): string | undefined {
  const run = spawnSync(program, args, { encoding: 'utf8' })
  const text = `${run.stdout ?? ''}${run.stderr ?? ''}`
  return run.error ? undefined : /\d+\.\d+(\.\d+)*/.exec(text)?.[0]
}

export function packageVersion(name: string): string {
  const file = join(root, 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function commit(): string {
  const run = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' })
  return run.status === 0 ? run.stdout.trim() : 'unknown'
}

export function machineFacts(): string {
  const model = (cpus()[0]?.model ?? 'unknown').replace(/\s+/g, ' ').trim()
  const memory = Math.round(totalmem() / 2 ** 30)
  const date = new Date().toISOString().slice(0, 10)
  return `Measured ${date} on ${availableParallelism()} cores of ${model}, ${memory} GB, Linux ${release()}, Node ${process.version}, commit ${commit()}.`
}
