import assert from 'node:assert/strict';
import { listFiles, read } from './support/sources.ts';

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly type?: string;
  readonly engines?: { readonly node?: string };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly link?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
}

/** Install scripts that need not run: npm is told so by `allowScripts` of package.json. */
const scriptsNotNeeded: Readonly<Record<string, string>> = {
  'classic-level': 'only builds it where there is no prebuilt binary in the package',
  esbuild: 'only makes its command start faster; the binary comes as an optional package',
  fsevents: 'for file watching on macOS, which nothing here does',
};

const exactVersion = /^(npm:[^@]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/;
const installScripts = ['preinstall', 'install', 'postinstall', 'prepare'];

describe('house: packages', () => {
  const paths = listFiles().filter((path) => path.endsWith('package.json'));
  const manifests = paths.map((path) => ({ path, manifest: JSON.parse(read(path)) as Manifest }));
  const top = JSON.parse(read('package.json')) as Manifest;
  const locked = Object.entries((JSON.parse(read('package-lock.json')) as { packages: object }).packages) as [
    string,
    LockedPackage,
  ][];

  it('have one version, one licence, one kind of module', () => {
    for (const { path, manifest } of manifests) {
      const { version, license, type } = manifest;
      assert.deepEqual(
        { version, license, type },
        { version: top.version, license: 'Apache-2.0', type: 'module' },
        path,
      );
    }
  });

  it('say which Node they need', () => {
    const silent = manifests.filter(({ manifest }) => manifest.engines?.node !== '>=20.19.0');
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
  });

  it('name exact versions of what they depend on', () => {
    const loose = manifests.flatMap(({ path, manifest }) => {
      const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
      const wrong = Object.entries(all).filter(([, version]) => !exactVersion.test(version));
      return wrong.map(([name, version]) => `${path}: ${name} ${version}`);
    });
    assert.deepEqual(loose, []);
  });

  it('agree on the version of what several of them depend on', () => {
    const versions = new Map<string, Set<string>>();
    for (const { manifest } of manifests) {
      for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
        versions.set(name, (versions.get(name) ?? new Set()).add(version));
      }
    }
    const torn = [...versions].filter(([, found]) => found.size > 1).map(([name]) => name);
    assert.deepEqual(torn, []);
  });

  it('need no install script', () => {
    const own = manifests.filter(({ manifest }) =>
      installScripts.some((name) => manifest.scripts?.[name] !== undefined),
    );
    assert.deepEqual(own, []);
    const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    const names = withScript.map(([path]) => path.replace(/^.*node_modules\//, ''));
    assert.deepEqual(
      names.filter((name) => scriptsNotNeeded[name] === undefined),
      [],
    );
    const denied = Object.entries(top.allowScripts ?? {}).filter(([, allowed]) => !allowed);
    assert.deepEqual(denied.map(([name]) => name).sort(), names.filter((name) => name !== 'fsevents').sort());
  });

  it('are locked by their content, wherever they come from', () => {
    const open = locked.filter(([path, { link, integrity }]) => /node_modules\//.test(path) && !link && !integrity);
    assert.deepEqual(
      open.map(([path]) => path),
      [],
    );
    const foreign = locked.filter(([, { resolved, link }]) => resolved !== undefined && !link);
    const elsewhere = foreign.filter(([, { resolved }]) => !resolved!.startsWith('https://registry.npmjs.org/'));
    assert.deepEqual(elsewhere, []);
  });

  it('are listed with their reason in docs/dependencies.md', () => {
    const listed = new Set([...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name));
    const all = manifests.flatMap(({ manifest }) =>
      Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }),
    );
    const needed = new Set(all.filter((name) => !name.startsWith('@foremesh/')));
    assert.deepEqual([...needed].sort(), [...listed].sort());
  });
});
