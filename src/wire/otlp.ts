// Spans as OTLP/HTTP JSON text (OpenTelemetry protocol 1.x, trace.proto in its JSON mapping: ids in hexadecimal, 64-bit
// numbers as strings). Made by hand: a span is a few concatenations. What a span says is its component's.

export const spanKind = { server: 2, client: 3 } as const
const statusError = 2
/** trace.proto, SpanFlags: sampled, and whether the parent is elsewhere is known; and it is. */
const sampled = 0x101
const remote = 0x200
const textCharsMax = 256

/** Cut where it is long. Each attribute has a comma behind. */
export function textAttribute(key: string, value: string, charsMax: number = textCharsMax): string {
  return `{"key":"${key}","value":{"stringValue":${jsonText(value.slice(0, charsMax))}}},`
}

export function integerAttribute(key: string, value: number): string {
  return `{"key":"${key}","value":{"intValue":"${value}"}},`
}

export function truthAttribute(key: string, value: boolean): string {
  return `{"key":"${key}","value":{"boolValue":${value}}},`
}

export interface SpanParts {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** '' for none. */
  readonly traceState: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** '' where the trace begins here. */
  readonly parentId: string
  readonly name: string
  readonly kind: number
  /** Microseconds since 1970. */
  readonly start: number
  readonly end: number
  /** Each with a comma behind. */
  readonly attributes: string
  readonly failed: boolean
}

export function spanText(parts: SpanParts): string {
  const state = parts.traceState === '' ? '' : `"traceState":${jsonText(parts.traceState)},`
  const parent = parts.parentId === '' ? '' : `"parentSpanId":"${parts.parentId}",`
  const flags = parts.kind === spanKind.server && parts.parentId !== '' ? sampled | remote : sampled
  const status = parts.failed ? `{"code":${statusError}}` : '{}'
  return `{"traceId":"${parts.traceId}","spanId":"${parts.spanId}",${state}${parent}"flags":${flags},"name":${jsonText(parts.name)},"kind":${parts.kind},"startTimeUnixNano":"${parts.start}000","endTimeUnixNano":"${parts.end}000","attributes":[${parts.attributes.slice(0, -1)}],"status":${status}}`
}

/** Text as a JSON string; the common case has nothing to escape. */
export function jsonText(text: string): string {
  return /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}
