// Was a field filled in that people do not see? Looks into forms and flat JSON, loosely: who hides a field from this reader
// hides it from nobody who judges the body itself, and only a sign is lost. Linear in the body's length.

/** Larger forms are not looked at. */
export const formBytesMax = 65_536

export function isForm(contentType: string): boolean {
  const type = (contentType.split(';', 1)[0] as string).trim().toLowerCase()
  return (
    type === 'application/x-www-form-urlencoded' ||
    type === 'multipart/form-data' ||
    type === 'application/json'
  )
}

export function isFilledIn(body: Buffer, contentType: string, fields: readonly string[]): boolean {
  const type = contentType.trim().toLowerCase()
  if (type.startsWith('application/json')) return inJson(body.toString('utf8'), fields)
  if (type.startsWith('multipart/')) return inParts(body.toString('utf8'), fields)
  const form = new URLSearchParams(body.toString('utf8'))
  return fields.some(field => form.getAll(field).some(isFilled))
}

function inJson(text: string, fields: readonly string[]): boolean {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  if (typeof value !== 'object' || value === null) return false
  return fields.some(
    field => Object.hasOwn(value, field) && isFilled((value as Record<string, unknown>)[field]),
  )
}

function inParts(text: string, fields: readonly string[]): boolean {
  return fields.some(field => {
    const name = text.indexOf(`name="${field}"`)
    const from = name < 0 ? -1 : text.indexOf('\r\n\r\n', name)
    if (from < 0) return false
    const to = text.indexOf('\r\n--', from + 2)
    return to > from && isFilled(text.slice(from + 4, Math.max(from + 4, to)))
  })
}

function isFilled(value: unknown): boolean {
  if (typeof value === 'string') return value.trim() !== ''
  return value !== null && value !== undefined && value !== false
}
