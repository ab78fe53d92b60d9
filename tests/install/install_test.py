#!/usr/bin/env python3
"""Installs cease into a prefix and uses it as a stranger would.

    install_test.py SOURCE_ROOT WORK_DIR

Out to break: files that are not installed, .pc and CMake files that name the wrong thing, libraries
that find each other only in the build tree, headers that need something private, an example in the
README that does not compile or does not do what it says, and libraries that cannot be loaded
together into a program that knows nothing of them.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

# library → (its header to try, a function that must be there)
LIBRARIES = {
    'cease': ('context.h', 'cease_background'),
    'cease-rt': ('task.h', 'cease_go'),
    'cease-http': ('http.h', 'cease_http_server_new'),
    'cease-http2': ('http2.h', 'cease_http2_enable'),
    'cease-grpc': ('grpc.h', 'cease_grpc_open'),
    'cease-tls': ('tls.h', None),
    'cease-https': ('https.h', 'cease_https'),
    'cease-sqlite': ('sqlite.h', None),
    'cease-pg': ('pg.h', None),
    'cease-curl': ('curl.h', None),
    'cease-redis': ('redis.h', None),
}
TARGETS = {name: 'cease::' + name.split('-')[-1] for name in LIBRARIES}
EXAMPLE_LINES_MAX = 25


class Failed(Exception):
    """A step did not come out as it must; the text says how."""


def check(condition, text):
    if not condition:
        raise Failed(text)


class Install:
    """The steps, in order; each method whose name begins with `step_` is one case."""

    def __init__(self, root, work):
        self.root = root
        self.work = work
        self.prefix = os.path.join(work, 'prefix')
        self.lib = os.path.join(self.prefix, 'lib')
        self.env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.lib, 'pkgconfig'),
                        LD_LIBRARY_PATH=self.lib)
        self.expected = ''

    def run(self, *command, env=None, cwd=None):
        done = subprocess.run(command, env=env or self.env, cwd=cwd or self.work, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, timeout=600)
        check(done.returncode == 0, '%s: status %d\n%s' % (' '.join(command), done.returncode,
                                                          done.stdout))
        return done.stdout

    def installed(self):
        return [n for n in LIBRARIES if os.path.exists(os.path.join(self.lib, 'lib%s.so' % n))]

    def step_install_into_prefix(self):
        shutil.rmtree(self.prefix, ignore_errors=True)
        env = {k: v for k, v in os.environ.items() if k not in ('DESTDIR', 'LIBDIR')}
        self.run(os.path.join(self.root, 'tools', 'install'), self.prefix,
                 os.path.join(self.work, 'build'), env=env)
        check({'cease', 'cease-rt'} <= set(self.installed()), 'libcease or libcease-rt is missing')
        for header in glob.glob(os.path.join(self.root, 'include', 'cease', '*.h')):
            name = os.path.basename(header)
            optional = [n for n, (h, _) in LIBRARIES.items() if h == name]
            if not optional or optional[0] in self.installed():
                check(os.path.exists(os.path.join(self.prefix, 'include', 'cease', name)),
                      'include/cease/%s was not installed' % name)

    def step_nothing_points_into_the_build(self):
        for name in self.installed():
            text = self.run('readelf', '-d', os.path.join(self.lib, 'lib%s.so' % name))
            check('RUNPATH' not in text and 'RPATH' not in text, name + ' has a run path:\n' + text)
            check('NODELETE' in text, name + ' is not -z nodelete:\n' + text)
        for path in glob.glob(self.lib + '/pkgconfig/*.pc') + glob.glob(self.lib + '/cmake/*/*'):
            with open(path, encoding='utf-8') as f:
                text = f.read().replace(self.prefix, '')
            check(self.root not in text, path + ' names the source tree')

    def step_example_of_the_readme(self):
        with open(os.path.join(self.root, 'README.md'), encoding='utf-8') as f:
            readme = f.read()
        blocks = [b for b in re.findall(r'^```c\n(.*?)^```$', readme, re.M | re.S)
                  if 'int main' in b]
        check(len(blocks) == 1, 'README.md has %d examples with a main' % len(blocks))
        check(len(blocks[0].splitlines()) <= EXAMPLE_LINES_MAX, 'the example is too long')
        output = re.findall(r'^```text\n(.*?)^```$', readme, re.M | re.S)
        check(output, 'README.md does not show what the example prints')
        self.expected = output[0]
        for name in ('example.c', 'example.cpp'):
            with open(os.path.join(self.work, name), 'w', encoding='utf-8') as f:
                f.write(blocks[0])

    def run_example(self, program):
        text = self.run(program)
        check(text == self.expected, 'the example prints:\n%sand not:\n%s' % (text, self.expected))

    def step_example_with_pkg_config(self):
        flags = self.run('pkg-config', '--cflags', '--libs', 'cease-rt').split()
        self.run('gcc', '-std=c11', '-Wall', '-Wextra', '-Werror', 'example.c', '-o', 'example-pc',
                 *flags)
        self.run_example('./example-pc')

    def step_example_with_cplusplus(self):
        flags = self.run('pkg-config', '--cflags', '--libs', 'cease-rt').split()
        for compiler in ('g++', 'clang++'):
            if shutil.which(compiler):
                self.run(compiler, '-std=c++17', '-Wall', '-Wextra', '-Werror', 'example.cpp', '-o',
                         'example-cpp', *flags)
                self.run_example('./example-cpp')

    def step_example_with_cmake(self):
        folder = os.path.join(self.work, 'with-cmake')
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        targets = ' '.join(TARGETS[n] for n in self.installed())
        with open(os.path.join(folder, 'CMakeLists.txt'), 'w', encoding='utf-8') as f:
            f.write('cmake_minimum_required(VERSION 3.20)\n'
                    'project(stranger C)\n'
                    'find_package(cease 0.1 REQUIRED COMPONENTS core rt)\n'
                    'find_package(cease 0.2 QUIET CONFIG)\n'
                    'if(cease_FOUND)\n  message(FATAL_ERROR "0.2 was found")\nendif()\n'
                    'find_package(cease REQUIRED)\n'
                    'add_executable(example ../example.c)\n'
                    'target_link_libraries(example cease::rt)\n'
                    'add_executable(everything ../example.c)\n'
                    'target_link_libraries(everything %s)\n' % targets)
        self.run('cmake', '-S', folder, '-B', folder + '/build',
                 '-DCMAKE_PREFIX_PATH=' + self.prefix)
        self.run('cmake', '--build', folder + '/build')
        self.run_example(folder + '/build/example')
        self.run_example(folder + '/build/everything')

    def step_each_library_alone_by_pkg_config(self):
        for name in self.installed():
            header, function = LIBRARIES[name]
            with open(os.path.join(self.work, 'one.c'), 'w', encoding='utf-8') as f:
                f.write('#include <cease/%s>\nvoid *volatile p;\nint main(void)\n{\n    p = %s;\n'
                        '    return 0;\n}\n' % (header, '(void *)' + function if function else '0'))
            check(self.run('pkg-config', '--modversion', name).startswith('0.1.'), name)
            flags = self.run('pkg-config', '--cflags', '--libs', name).split()
            self.run('gcc', '-std=c11', 'one.c', '-o', 'one', *flags)
            self.run('./one')

    def step_faults_by_pkg_config(self):
        example = os.path.join(self.root, 'docs', 'man', 'examples', 'cease_faults_allocations.c')
        flags = self.run('pkg-config', '--cflags', '--libs', 'cease-faults').split()
        self.run('gcc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', example, '-o', 'faults', *flags)
        self.run('./faults')

    def step_programs_start_from_the_prefix(self):
        env = {k: v for k, v in self.env.items() if k != 'LD_LIBRARY_PATH'}
        for program in glob.glob(self.prefix + '/bin/*'):
            self.run(program, '--version', env=env)

    def step_all_libraries_into_python(self):
        script = os.path.join(self.root, 'tests', 'install', 'load_all.py')
        paths = [os.path.join(self.lib, 'lib%s.so' % n) for n in self.installed()]
        env = {k: v for k, v in self.env.items() if k != 'LD_LIBRARY_PATH'}
        self.run(sys.executable, script, *paths, env=dict(env, LD_LIBRARY_PATH=self.lib))
        self.run(sys.executable, script, *reversed(paths), env=dict(env, LD_LIBRARY_PATH=self.lib))


def main():
    root, work = (os.path.abspath(p) for p in sys.argv[1:3])
    work = os.path.join(work, 'work')
    os.makedirs(work, exist_ok=True)
    install = Install(root, work)
    counts = {'ok': 0, 'FAIL': 0, 'skip': 0}
    for name in [n for n in vars(Install) if n.startswith('step_')]:
        verdict, text = 'ok', ''
        try:
            getattr(install, name)()
        except (Failed, OSError, subprocess.SubprocessError) as e:
            verdict, text = 'FAIL', str(e)
        counts[verdict] += 1
        print('%-5s %s' % (verdict, name[len('step_'):]))
        for line in text.splitlines():
            print('    ' + line)
    print('%(ok)d passed, %(FAIL)d failed, %(skip)d skipped' % counts)
    return 1 if counts['FAIL'] else 0


if __name__ == '__main__':
    sys.exit(main())
