import { type ArimaPackage, type FitArima, fitByPackage } from '@foremesh/models';

/** Loads the npm package `arima` (0.3 MiB, WebAssembly inside): only who forecasts pays for it. */
export async function loadArima(): Promise<FitArima> {
  // What it would print goes nowhere: it binds `console.log` once, while it loads, and then tells every fit that fails. Nobody
  // else's `console.log` is touched.
  Object.defineProperty(console.log, 'bind', { value: () => () => undefined, configurable: true });
  try {
    const { default: Arima } = (await import('arima')) as unknown as { default: ArimaPackage };
    return fitByPackage(Arima);
  } finally {
    Reflect.deleteProperty(console.log, 'bind');
  }
}
