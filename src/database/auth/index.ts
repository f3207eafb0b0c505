// Logging in, both ways, as the router and the agents use it.

export { ClientLogins } from './client-login.ts'
export type { ClientLogin, LoginStep, ServerLogin } from './contract.ts'
export { type ScramKeys, type ScramVerifier, verifierOf, verifierText } from './scram.ts'
export { type ServerLoginOptions, serverLogin } from './server-login.ts'
