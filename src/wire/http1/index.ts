// HTTP/1.1, pure: heads, chunked bodies, and what an intermediary drops. Bytes and text in, meaning out.

export * from './chunked.ts'
export * from './compose.ts'
export { contentLengthOf, eachListElement, isToken, isValidAuthority } from './grammar.ts'
export { framing, type HeadLimits, more } from './head.ts'
export * from './problem.ts'
export { Http1RequestHead } from './request-head.ts'
export { Http1ResponseHead } from './response-head.ts'
