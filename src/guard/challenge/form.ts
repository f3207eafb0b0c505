// The few fields that a challenge's form has, urlencoded or as JSON. A name that comes twice, or a value that is no text, makes
// all of it malformed: nothing is guessed.

export type FormFields = Readonly<Record<string, string | undefined>>

const fieldsMax = 16

export function readForm(contentType: string | undefined, body: string): FormFields | null {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/x-www-form-urlencoded') return fieldsOf([...new URLSearchParams(body)])
  if (type !== 'application/json') return null
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    return fieldsOf(Object.entries(value))
  } catch {
    return null
  }
}

function fieldsOf(pairs: readonly (readonly [string, unknown])[]): FormFields | null {
  const fields: Record<string, string> = Object.create(null)
  if (pairs.length > fieldsMax) return null
  for (const [name, value] of pairs) {
    if (typeof value !== 'string' || name in fields) return null
    fields[name] = value
  }
  return fields
}
