// The one place that makes certificates; loaded only when one is to be made. The library needs the metadata first.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;

export interface Issuer {
  readonly certificate: string;
  readonly key: KeyObject;
}

export interface Pair {
  readonly certificate: string;
  /** PKCS #8, PEM. */
  readonly key: string;
}

/** A certificate that signs others, by itself. */
export async function issueAuthority(name: string, endsAtMs: number): Promise<Pair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [name] }],
    ...validity(endsAtMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) };
}

/** The broker's own. `names`: host names and addresses under which it is reached. */
export async function issueServer(issuer: Issuer, names: readonly string[], endsAtMs: number): Promise<Pair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await issue(issuer, {
    subject: [{ CN: ['foremesh broker'] }],
    publicKey: keys.publicKey,
    endsAtMs,
    usage: x509.ExtendedKeyUsage.serverAuth,
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
    ],
  });
  return { certificate, key: await pemOf(keys.privateKey) };
}

/** A node's, over its own Ed25519 key. */
export async function issueNode(
  issuer: Issuer,
  { node, publicKey, mayLead }: { readonly node: string; readonly publicKey: string; readonly mayLead: boolean },
  endsAtMs: number,
): Promise<string> {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  return issue(issuer, {
    subject: [{ CN: [node] }, { OU: [mayLead ? 'lead' : 'follow'] }],
    publicKey: new x509.PublicKey(new Uint8Array(key.export({ type: 'spki', format: 'der' }))),
    endsAtMs,
    usage: x509.ExtendedKeyUsage.clientAuth,
  });
}

interface Wanted {
  readonly subject: x509.JsonName;
  readonly publicKey: x509.PublicKeyType;
  readonly endsAtMs: number;
  readonly usage: x509.ExtendedKeyUsage;
  readonly extensions?: x509.Extension[];
}

async function issue(issuer: Issuer, { subject, publicKey, endsAtMs, usage, extensions = [] }: Wanted) {
  const pkcs8 = issuer.key.export({ type: 'pkcs8', format: 'der' });
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: new x509.X509Certificate(issuer.certificate).subject,
    ...validity(endsAtMs),
    publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      ...extensions,
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** Backdated far: a machine without a battery clock may start years in the past. */
function validity(endsAtMs: number) {
  return {
    notBefore: new Date(Math.min(Date.UTC(2020, 0, 1), Date.now() - dayMs, endsAtMs - dayMs)),
    notAfter: new Date(endsAtMs),
  };
}

/** Positive, and never twice. */
function serialNumber(): string {
  return `01${randomBytes(15).toString('hex')}`;
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  }) as string;
}
