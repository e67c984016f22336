// Command compose does what `docker compose config` does, with compose's own loader: merge, interpolate, check against the
// specification, choose by profile. Docker's whole command cannot be built from the module proxy alone; see the decision
// 0011. Usage: compose [--profile NAME]... FILE...
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

type names []string

func (n *names) String() string { return fmt.Sprint(*n) }

func (n *names) Set(name string) error {
	*n = append(*n, name)
	return nil
}

func config(files, profiles []string) ([]byte, error) {
	// The order is compose's own: the environment wins over .env, which lies beside the first file.
	options, err := cli.NewProjectOptions(files,
		cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv, cli.WithProfiles(profiles))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func main() {
	var profiles names
	flag.Var(&profiles, "profile", "a profile to enable; may be repeated")
	flag.Parse()
	loaded, err := config(flag.Args(), profiles)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(loaded)
}
