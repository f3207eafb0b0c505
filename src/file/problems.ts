// From what zod found to what people read. It decides nothing about the file: the schemas did.

import type * as z from 'zod'
import { fileFailures } from './failures.ts'
import { type Json, type PathOfKeys, pathText, valueAt } from './plain.ts'
import type { Problem } from './results.ts'
import { refusalsMark } from './shapes.ts'
import type { Refusal } from './values.ts'

type Issue = z.core.$ZodIssue

interface Found {
  readonly path: PathOfKeys
  readonly refusal: Refusal
}

/** Every issue as a problem, in the order found. `data` is what was checked. */
export function problemsOf(issues: readonly Issue[], data: Json): Problem[] {
  return issues.flatMap(issue => foundIn(issue, [])).map(found => problem(found, data))
}

function foundIn(issue: Issue, parent: PathOfKeys): Found[] {
  const path = [...parent, ...(issue.path as (string | number)[])]
  if (issue.code === 'invalid_union') return foundInUnion(issue.errors, path)
  if (issue.code === 'invalid_key') return issue.issues.flatMap(inner => foundIn(inner as Issue, path))
  if (issue.code === 'custom' && issue.params?.refusal)
    return [{ path, refusal: issue.params.refusal as Refusal }]
  if (!issue.message.startsWith(refusalsMark))
    return [{ path, refusal: { code: 'value', message: `is wrong: ${issue.message}` } }]
  const carried = JSON.parse(issue.message.slice(refusalsMark.length)) as Refusal[]
  return carried.map(refusal => ({
    path: refusal.key === undefined ? path : [...path, refusal.key],
    refusal,
  }))
}

/** The branch that was meant is the one that got further than the value itself; else all of them are told as one. */
function foundInUnion(branches: readonly (readonly Issue[])[], path: PathOfKeys): Found[] {
  const all = branches.map(issues => issues.flatMap(issue => foundIn(issue, path)))
  const meant = all.find(found => !found.some(one => isAbout(one, path)))
  const flat = all.flat()
  if (meant) return meant
  const special = flat.find(one => one.refusal.remedy)
  const allowed = [...new Set(flat.flatMap(one => one.refusal.allowed ?? []))].join('; or ')
  const missing = flat.every(one => one.refusal.code === 'missing')
  const message = special?.refusal.message ?? (flat.length === 1 ? flat[0]?.refusal.message : undefined)
  return [
    {
      path,
      refusal: {
        code: missing ? 'missing' : 'value',
        message: missing ? 'is missing' : (message ?? bestMessage(flat) ?? 'is not allowed here'),
        allowed,
        ...(special?.refusal.remedy ? { remedy: special.refusal.remedy } : {}),
      },
    },
  ]
}

function isAbout(found: Found, path: PathOfKeys): boolean {
  return found.path.length === path.length && found.refusal.allowed !== undefined
}

/** A sentence about the value itself (`is below 1`) says more than one about its kind. */
function bestMessage(found: readonly Found[]): string | undefined {
  return found.find(one => !/^is (not|missing)/.test(one.refusal.message))?.refusal.message
}

function problem({ path, refusal }: Found, data: Json): Problem {
  const value = shownValue(path, valueAt(data, path))
  return {
    code: fileFailures[refusal.code].code,
    path: pathText(path),
    ...(value === undefined ? {} : { value }),
    message: refusal.message,
    ...(refusal.allowed ? { allowed: refusal.allowed } : {}),
    ...(refusal.remedy ? { remedy: refusal.remedy } : {}),
  }
}

const urlPassword = /([a-z][a-z0-9+.-]*:\/\/[^/@:\s"]*):[^@\s"]*@/gi

/** Short JSON, without passwords of URLs. Environment variables, secrets and tokens of peers are never shown. */
export function shownValue(path: PathOfKeys, value: Json | undefined): string | undefined {
  const hidden = path.some(key => key === 'env' || key === 'environments' || key === 'peers')
  if (value === undefined || hidden || path.at(-1) === 'secret') return undefined
  const text = JSON.stringify(value).replace(urlPassword, '$1:***@')
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** A screen or two; a generated file can have thousands. */
const problemsShownMax = 50

/**
 * Clear text for a terminal, one block a problem. `file` is the path as the reader knows it.
 *
 *     tenfold.config.ts has 1 problem:
 *
 *       services.web.instances: 0 is below 1
 *           allowed: a whole number from 1 to 1000
 */
export function renderProblems(
  file: string,
  problems: readonly Problem[],
  kind: 'problem' | 'warning' = 'problem',
): string {
  const count = problems.length === 1 ? `1 ${kind}` : `${problems.length} ${kind}s`
  const more = problems.length - problemsShownMax
  return [
    `${file} has ${count}:`,
    ...problems.slice(0, problemsShownMax).map(one => renderProblem(one)),
    ...(more > 0 ? [`  ... and ${more} more`] : []),
  ].join('\n\n')
}

function renderProblem({ path, value, message, allowed, remedy }: Problem): string {
  const where = path === '' ? 'the system' : path
  const scalar = value !== undefined && !/^[[{]/.test(value)
  const lines = [scalar ? `  ${where}: ${value} ${message}` : `  ${where} ${message}`]
  if (allowed) lines.push(`      allowed: ${allowed}`)
  if (remedy) lines.push(`      ${remedy}`)
  return lines.join('\n')
}
