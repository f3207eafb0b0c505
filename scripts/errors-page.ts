// The reference page of all coded failures, made from the catalogues in `src/*/failures.ts`. Gives text; writes nothing:
// scripts/generate.ts does.

import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FailureKind } from '../src/kit/failure.ts'

const root = join(import.meta.dirname, '..')

export interface Listed {
  /** Folder under src/. */
  readonly component: string
  /** `fleetFailures.commandMissing`: how code names it. */
  readonly name: string
  readonly kind: FailureKind
}

function isKind(value: unknown): value is FailureKind {
  return typeof value === 'object' && value !== null && 'code' in value && 'advice' in value
}

/** Every failure of every catalogue, in the order of the catalogues. */
export async function allFailures(): Promise<Listed[]> {
  const listed: Listed[] = []
  for (const path of globSync('src/*/failures.ts', { cwd: root }).sort()) {
    const component = path.split(/[\\/]/)[1]!
    const exported = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>
    for (const [catalogue, kinds] of Object.entries(exported)) {
      if (typeof kinds !== 'object' || kinds === null) continue
      for (const [name, kind] of Object.entries(kinds)) {
        if (isKind(kind)) listed.push({ component, name: `${catalogue}.${name}`, kind })
      }
    }
  }
  return listed
}

function section(component: string, listed: readonly Listed[]): string {
  const rows = listed.map(
    ({ kind }) =>
      `| \`${kind.code}\` | ${kind.when} | ${kind.advice} | ${kind.status} | ${kind.retry ? 'yes' : 'no'} |`,
  )
  const head = '| code | when | what to do | HTTP status | try again as it is |\n|---|---|---|---|---|'
  return `## ${component}\n\n${head}\n${rows.join('\n')}\n`
}

/** docs/reference/errors.md */
export async function errorsPage(): Promise<string> {
  const listed = await allFailures()
  const components = [...new Set(listed.map(one => one.component))]
  const opening =
    '# Failures\n\nEach message of Tenfold ends in a code; here is what each code means and what to do. The HTTP status is what a client gets\nwhere the failure reaches one. Generated from the catalogues in `src/*/failures.ts` by `npm run generate`.\n'
  return [
    opening,
    ...components.map(name =>
      section(
        name,
        listed.filter(one => one.component === name),
      ),
    ),
  ].join('\n')
}
